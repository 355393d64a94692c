"""A program with a Celery of its own may import us: nothing of it changes, before or after, and its mail arrives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import BIN, Inbox, RedisServer, Workers, settings_for, until

# What a process has for itself, and could lose to a library.
LOOK = """
import gc, json, logging, os, signal, sys, threading, warnings
import kombu.pools, kombu.connection, kombu.transport, kombu.transport.redis as stock
from celery import Celery, _state, signals, shared_task
def look():
    names = [name for name in dir(signals) if hasattr(getattr(signals, name), "receivers")]
    loggers = logging.root.manager.loggerDict
    return {
        "current": repr(_state._tls.current_app), "default": repr(_state.default_app),
        "shared tasks": len(_state._on_app_finalizers), "environment": dict(os.environ), "path": list(sys.path),
        "receivers": {name: len(getattr(signals, name).receivers or ()) for name in names},
        "pools": [list(kombu.pools._limit), len(kombu.pools.connections), len(kombu.pools.producers)],
        "kombu": [repr(stock.Channel.QoS), repr(stock.Channel._create_client), repr(stock.MultiChannelPoller),
            repr(kombu.Connection.get_transport_cls), dict(kombu.transport.TRANSPORT_ALIASES)],
        "filters": {n: repr(l.filters) for n, l in loggers.items() if getattr(l, "filters", None)},
        "handlers": [repr(logging.root.handlers), logging.root.level],
        "handled": [repr(signal.getsignal(n)) for n in sorted(signal.valid_signals())],
        "threads": len(threading.enumerate()), "frozen": gc.get_freeze_count(), "gc": gc.get_threshold(),
        "hooks": [repr(sys.excepthook), repr(threading.excepthook)], "warnings": repr(warnings.filters),
        "modules": sorted({"celeryconfig", "flowerconfig", "flower.app"} & {*sys.modules}),
    }
"""

COMPARE = (
    LOOK + "warnings.simplefilter('error')\n"
    "forks = []\n"
    "os.register_at_fork = lambda **hooks: forks.append(hooks)\n"
    "before = look()\n"
    "from mailworker import app, send_email\n"
    "app.finalize()\n"
    "after_import = look()\n"
    "send_email.delay('a@example.com', 'from the host', 'b')\n"
    "after_call = look()\n"
    "for now in (after_import, after_call):\n"
    "    for key in before:\n"
    "        assert before[key] == now[key], (key, before[key], now[key])\n"
    "ours = [hooks for hooks in forks if any('mailworker' in getattr(h, '__module__', '') for h in hooks.values())]\n"
    "assert not ours, ours\n"
)

HOSTILE = {
    "CELERY_BROKER_URL": "memory://the-host-s",
    "CELERY_BROKER_WRITE_URL": "memory://the-host-s",
    "CELERY_RESULT_BACKEND": "file:///nowhere",
    "CELERY_LOADER": "default",
    "BROKER_URL": "memory://the-host-s",
    "DJANGO_SETTINGS_MODULE": "site_settings",
}


@pytest.fixture
def host(tmp_path: Path, redis_server: RedisServer, inbox: Inbox) -> Iterator[Workers]:
    """The host's folder and environment: its Celery's configuration has the names that ours has."""
    folder = tmp_path / "host"
    folder.mkdir()
    (folder / "celeryconfig.py").write_text(
        f"broker_url = '{redis_server.url}'\ntask_default_queue = 'host'\ntask_acks_late = False\n"
        "broker_pool_limit = 3\ntask_create_missing_queues = False\n"
        "from kombu import Queue\ntask_queues = [Queue('host')]\n"
    )
    (folder / "flowerconfig.py").write_text("port = 1\n")
    (folder / "site_settings.py").write_text("SECRET_KEY = 'x'\nUSE_TZ = True\n")
    workers = Workers(folder, settings_for(redis_server.url, inbox.url) | {"PYTHONPATH": str(folder)})
    yield workers
    workers.stop()


@pytest.mark.parametrize("hostile", [{}, HOSTILE], ids=["plain", "with the host's variables"])
def test_nothing_of_a_process_changes_by_the_import_nor_by_a_call(
    host: Workers, redis_server: RedisServer, hostile: dict[str, str]
) -> None:
    host.environment |= hostile
    host.python(COMPARE)
    assert redis_server.client().llen("mailworker") == 1


PLAIN = """
from celery import Celery, shared_task
def start():
    app = Celery("host")
    app.config_from_object("celeryconfig")
    return app
"""
FLASK = """
from celery import Celery, Task, shared_task
from flask import Flask
def start():
    web = Flask("host")
    class InContext(Task):
        def __call__(self, *arguments, **named):
            with web.app_context():
                return self.run(*arguments, **named)
    app = Celery(web.name, task_cls=InContext)
    app.config_from_object("celeryconfig")
    app.set_default()
    web.extensions["celery"] = app
    return app
"""
DJANGO = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
import django
django.setup()
from celery import Celery, shared_task
def start():
    app = Celery("host")
    app.config_from_object("celeryconfig")
    app.autodiscover_tasks()
    return app
"""
USE = """
@shared_task
def greet(name): return name
greet.delay("shared")
@app.task
def bow(name): return name
bow.delay("bound")
send_email.delay("a@example.com", "from the host", "b")
greet.delay("again")
from celery import current_app, _state
assert current_app._get_current_object() is app, current_app
assert _state.default_app is not None and _state.default_app.main != "mailworker"
assert not [name for name in app.tasks if name.startswith("mailworker")], app.tasks
assert app.amqp.producer_pool.limit == 3
"""


@pytest.mark.parametrize("framework", [PLAIN, FLASK, DJANGO], ids=["celery", "flask", "django"])
@pytest.mark.parametrize("order", ["before", "after", "in a thread"])
def test_each_task_goes_to_its_own_broker_whoever_came_first(
    host: Workers, redis_server: RedisServer, framework: str, order: str
) -> None:
    imports = "from mailworker import send_email; send_email.name\n"
    start = "app = start()\n"
    if order == "in a thread":  # as a view does, in a server with threads
        imports = (
            "import threading\n"
            "def view():\n    global send_email\n    from mailworker import send_email\n    send_email.name\n"
            "thread = threading.Thread(target=view); thread.start(); thread.join()\n"
        )
    host.python(framework + (imports + start if order == "before" else start + imports) + USE)
    client: redis.Redis = redis_server.client()
    sent: Any = [json.loads(message)["headers"]["task"] for message in client.lrange("host", 0, -1)]
    assert sorted(name.rpartition(".")[2] for name in sent) == ["bow", "greet", "greet"]
    ours: Any = [json.loads(message)["headers"]["task"] for message in client.lrange("mailworker", 0, -1)]
    assert ours == ["mailworker.send_email"]


HOST_APP = """
import gc, sys
from celery import Celery, signals
from mailworker import send_email
app = Celery("hostapp", backend="file:///{folder}")
app.config_from_object("celeryconfig")
app.conf.update(result_extended=True, task_ignore_result=False, task_inherit_parent_priority=True)
published = []
@signals.before_task_publish.connect(weak=False)
def publishing(sender, body, headers, **_):
    published.append((sender, repr(body) + repr(headers)))
@app.task(bind=True)
def order(self, number):
    send_email.delay("secret-a@example.com", f"order {{number}}", "secret words")
    import mailworker.stopping
    import flower.command
    from mailworker import app as ours
    return {{
        "frozen": gc.get_freeze_count(), "stopping": mailworker.stopping.begun(), "published": published,
        "flower": flower.command.Flower.__module__, "worker": "mailworker.worker.process" in sys.modules,
        "concurrency": ours.conf.worker_concurrency, "root": self.request.root_id,
    }}
"""


def test_inside_a_task_of_a_host_s_own_worker_a_call_leaves_nothing_but_a_doorbell(
    host: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    """And our worker beside the host's, in the same database: the host's `control shutdown` ends the host's alone."""
    (host.folder / "results").mkdir()
    (host.folder / "hostapp.py").write_text(HOST_APP.format(folder=host.folder / "results"))
    log = host.folder / "host.log"
    with log.open("wb") as output:
        command = [str(BIN / "celery"), "-A", "hostapp", "worker", "-n", "host@test", "-l", "INFO", "-c", "2"]
        process = subprocess.Popen(command, cwd=host.folder, env=host.environment, stdout=output, stderr=output)
    try:
        until(lambda: b"ready." in log.read_bytes(), what="the host's worker")
        asking = "import json; from hostapp import order; result = order.delay(7)\n"
        asking += (
            "print(json.dumps(result.get(timeout=20))); print(json.dumps([str(c) for c in result.children or []]))"
        )
        said, children = map(json.loads, host.python(asking).splitlines())
        (doorbell,) = redis_server.client().lrange("mailworker", 0, -1)  # type: ignore[misc]
        (folder := host.folder.parent / "ours").mkdir()
        ours = Workers(folder, host.environment)
        try:
            worker = ours.start()
            until(lambda: inbox.subjects() == ["order 7"], what="the mail")
            host.run("celery", "-A", "hostapp", "control", "shutdown")
            process.wait(20)
            assert worker.poll() is None
            assert "w0@test" in ours.run("celery", "-A", "mailworker", "inspect", "ping", "-t", "3").stdout
        finally:
            ours.stop()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert (said["frozen"], said["stopping"], said["worker"], said["concurrency"]) == (0, False, False, 5)
    assert said["flower"] == "flower.app"
    assert [name for name, _ in said["published"]] == ["mailworker.send_email"]
    assert "secret" not in str(said["published"])
    assert children == []
    headers = json.loads(doorbell)["headers"]
    assert headers["parent_id"] is None
    assert headers["root_id"] == headers["id"]
    assert "secret" not in log.read_text()


def test_under_a_site_s_own_name_it_is_our_app_all_the_same(host: Workers) -> None:
    """`celery -A mysite …`: the site's settings on top, the promises checked, and no Flower without a login."""
    (host.folder / "mysite.py").write_text("from mailworker import app\n")
    assert "task_acks_late must stay True" in host.run("celery", "-A", "mysite", "worker").stderr
    (host.folder / "celeryconfig.py").write_text("worker_concurrency = 17\n")
    assert "worker_concurrency: 17" in host.run("celery", "-A", "mysite", "report").stdout
    assert "does not start without a login" in host.run("celery", "-A", "mysite", "flower", "--port=0").stderr


def test_a_task_has_the_site_s_settings_though_it_is_imported_before_them(host: Workers) -> None:
    (host.folder / "mysite.py").write_text("from mailworker import app, send_email\n")
    (host.folder / "celeryconfig.py").write_text("task_track_started = False\ntask_soft_time_limit = 77\n")
    look = "from mailworker import send_email as task\nprint('it has', task.track_started, task.soft_time_limit)\n"
    shell = subprocess.run(
        [f"{BIN}/celery", "-A", "mysite", "shell", "--python"],
        input=look, capture_output=True, text=True, check=True, cwd=host.folder, env=host.environment, timeout=60,
    )  # fmt: skip
    assert "it has False 77" in shell.stdout


def test_a_program_that_forks_by_itself_rings_from_each_process(host: Workers, redis_server: RedisServer) -> None:
    """As `gunicorn --preload` does, without Celery's hooks for forks: no socket to the broker is in two processes."""
    host.python(
        "import os\n"
        "from mailworker import send_email\n"
        "send_email.delay('a@example.com', 'parent', 'b')\n"
        "children = []\n"
        "for number in range(4):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        for again in range(20): send_email.delay('a@example.com', f'{number} {again}', 'b')\n"
        "        os._exit(0)\n"
        "    children.append(pid)\n"
        "for again in range(20): send_email.delay('a@example.com', 'parent again', 'b')\n"
        "assert {os.waitpid(pid, 0)[1] for pid in children} == {0}\n"
    )
    client: redis.Redis = redis_server.client()
    assert len(list(client.scan_iter("mailworker:mail:*"))) == 101
    assert client.llen("mailworker") == client.zcard("mailworker:rung")


def test_the_tests_themselves_are_such_a_program() -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import mailworker, sys; print('celery' in sys.modules)"],
        capture_output=True, text=True, check=True, env=os.environ,
    )  # fmt: skip
    assert result.stdout.strip() == "False"  # Celery is loaded when the task is first asked for
