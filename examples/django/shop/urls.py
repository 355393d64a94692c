"""The one page of the shop."""

from django.urls import path

from .views import order

urlpatterns = [path("orders", order)]
