"""A shop that confirms orders: `flask --app app run`, then `curl -d address=you@example.com …/orders`.

What is wrong with an address is told to whoever typed it, before anything is sent. A call with the same
`idempotency_key` is the same mail, however often a browser repeats the request.
"""

from __future__ import annotations

from flask import Flask, render_template_string, request
from flask.typing import ResponseReturnValue

from mailworker import SpoolError, Unsendable, send_email

app = Flask(__name__)

CONFIRMATION = "<h1>Thank you</h1><p>Your order <b>{{ number }}</b> is on its way.</p>"


@app.post("/orders")
def order() -> ResponseReturnValue:
    """Places an order and confirms it by mail."""
    number = request.form.get("number", "1")
    try:
        mail = send_email.delay(
            to=request.form["address"],
            subject=f"Your order {number}",
            html=render_template_string(CONFIRMATION, number=number),
            attachments=[(f"order-{number}.txt", f"Order {number}\n".encode(), "text/plain")],
            idempotency_key=f"order-{number}",
        )
    except Unsendable as error:
        return {"error": str(error)}, 400
    except SpoolError:
        return {"error": "the mail could not be taken, please try again"}, 503
    return {"mail": mail.id}, 202
