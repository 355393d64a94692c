"""Mail by Django's own functions, as everywhere in Django."""

from django.core.mail import EmailMultiAlternatives, mail_admins
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from .tasks import remind


@csrf_exempt
@require_POST
def order(request: HttpRequest) -> JsonResponse:
    """Confirms an order, and has the task remind of it."""
    address = request.POST["address"]
    message = EmailMultiAlternatives("Your order", "Thank you.", to=[address], bcc=["archive@example.com"])
    message.attach_alternative("<p>Thank you.</p>", "text/html")
    message.attach("order.txt", "Order 7\n", "text/plain")
    message.send()
    mail_admins("An order", f"from {address}")
    remind.delay(address)
    return JsonResponse({}, status=202)
