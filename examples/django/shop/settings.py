"""What is needed to send mail, and no more."""

import os

import django

SECRET_KEY = "of an example"  # noqa: S105 - it guards nothing
DEBUG = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
USE_TZ = True

DEFAULT_FROM_EMAIL = "Shop <shop@example.com>"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "mailworker.django.EmailBackend"}}
else:
    EMAIL_BACKEND = "mailworker.django.EmailBackend"

# Settings of mailworker stand here or in the environment. Its worker is a process of its own: it has the environment.
MAILWORKER = {"REDIS_URL": os.environ.get("MAILWORKER_REDIS_URL", "redis://127.0.0.1:6379/0")}

# The project's own Celery. Its queues are its own; it may use the same Redis.
CELERY_BROKER_URL = MAILWORKER["REDIS_URL"]
CELERY_TASK_DEFAULT_QUEUE = "shop"
