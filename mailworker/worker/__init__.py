"""Celery: our app as a guest, its tasks, its pool, what a worker does. The only folder that knows it."""
