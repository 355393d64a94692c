"""Celery, and the only folder that knows it: our app as a guest, its tasks, its pool, what a worker does.

- The app: `app`, with `celery_settings` (and the packaged `celeryconfig`), the `names` of queues and tasks, `guest` (it
  shares nothing with the program that imports it) and `transport` (repairs to kombu's Redis). `command_line` sees
  whether it was chosen there.
- A call: `spooling_task` is what programs call as `send_email`, `raw_sender` as `send_raw`; `calls` reads what it asks
  for, and refuses what would put a mail at risk; `many` takes many mails at once; `eager` says whether tasks run where
  they are called.
- A task: `tasks` are the three; `sent_by_name` and `carriers` take mail that another program put into a message,
  `privacy` keeps mail out of what Celery shows of it, `events` tells Flower, `flower` (and `flowerconfig`) starts that.
- A worker's main process: `process` prepares it, `introduction` is what it says first; the `watcher` starts its threads
  (a `listener` for each list, the `pulse`; each a `loop`), `consumer` takes the messages, `closing` is its end.
- Its children: `prefork` is their pool, `forks` makes them whole, `child_leaving` lets one end after the answer,
  `child_lost` rings for the mails of one that died.
"""
