"""Celery's settings for mailworker. A `celeryconfig.py` in the folder where Celery is started goes on top of these.

The broker comes from MAILWORKER_BROKER_URL (or MAILWORKER_REDIS_URL). Why each value is as it is: docs/design.md.
"""

# What the old daemon had: five sending processes, each replaced after 16,000 rounds.
worker_concurrency = 5
worker_max_tasks_per_child = 16_000
worker_pool = "mailworker.worker.prefork:TaskPool"
# That pool looks after it itself, and later than Celery: a machine under load may need longer than 4 seconds.
worker_proc_alive_timeout = 120.0

# A message is a doorbell: losing or doubling one costs nothing, holding many back does.
# The queues are `mailworker` and `mailworker.bridge`, and begin with the spool's prefix where a site chose another one:
# mailworker/worker/names.py.
task_create_missing_queues = True
worker_prefetch_multiplier = 1
task_acks_late = True
task_acks_on_failure_or_timeout = True
task_reject_on_worker_lost = False
task_ignore_result = True

# Data, never code.
accept_content = ["json"]
task_serializer = "json"
result_serializer = "json"
event_serializer = "json"

# Above every deadline of the SMTP session, below the spool's lease.
task_soft_time_limit = 1200
task_time_limit = 1260

# The worker outlives its broker.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
worker_consumer = "mailworker.worker.consumer:Consumer"
broker_transport_options = {
    "visibility_timeout": 3600,
    "socket_keepalive": True,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "health_check_interval": 25,
}
broker_heartbeat = 30
worker_cancel_long_running_tasks_on_connection_loss = False
worker_soft_shutdown_timeout = 10.0

# For Flower. Nothing personal is in a message, so nothing personal is in an event.
worker_send_task_events = True
# The event of a producer would cost it as much as the message. Flower knows a mail once a worker has it.
task_send_sent_event = False
task_track_started = True
worker_hijack_root_logger = True
worker_redirect_stdouts = False
timezone = "UTC"
