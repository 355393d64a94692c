"""Flower's options for mailworker. A `flowerconfig.py` in the folder where Flower is started goes on top of these.

The login comes from FLOWER_BASIC_AUTH=user:password; without one Flower does not start. FLOWER_ADDRESS, or `--address`
on the command line, opens it to others: put TLS before it, and give it a good password.
"""

import os

address = os.environ.get("FLOWER_ADDRESS") or "127.0.0.1"
max_tasks = 10_000
tasks_columns = "name,uuid,state,args,result,received,started,runtime,worker,exception"
