"""The wheel, installed where nothing of the project's folder is in sight, is the whole system."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from .conftest import ROOT, Site

PASSWORD = "pa55-w0rd"
REDIS = f"redis://user:{PASSWORD}@127.0.0.1:1/0"
"""Nobody listens on port 1."""


def test_everything_that_runs_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    folder = ROOT / "mailworker"
    wanted = {str(path.relative_to(ROOT)) for pattern in ("*.py", "*.lua", "*.html") for path in folder.rglob(pattern)}
    configurations = {"mailworker/worker/celeryconfig.py", "mailworker/worker/flowerconfig.py"}
    assert {"mailworker/py.typed", "mailworker/spool/lua/claim.lua"} | configurations <= names
    assert wanted - names == set()
    # A stranger's config_from_object("celeryconfig") must not find ours.
    assert {name for name in names if not name.startswith(("mailworker/", "mailworker-"))} == set()
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_is_the_wheel_that_is_tried_here(site: Site) -> None:
    file = site.run("python", "-c", "import mailworker; print(mailworker.__file__)").stdout
    assert str(site.bin) in (site.bin / "mailworker").read_text()
    assert file.startswith(str(site.bin.parent))


def test_celery_finds_the_app_and_its_settings_from_an_empty_folder(site: Site) -> None:
    report = site.run("celery", "-A", "mailworker", "report", MAILWORKER_REDIS_URL=REDIS)
    assert report.returncode == 0, report.stderr
    assert "worker_max_tasks_per_child: 16000" in report.stdout
    assert "task_acks_late: True" in report.stdout
    assert PASSWORD not in report.stdout
    assert (
        "mailworker.send_email"
        in site.run("python", "-c", "from mailworker import send_email as s; print(s.name)").stdout
    )


def test_a_site_s_own_celeryconfig_goes_on_top_of_workers_and_commands(site: Site) -> None:
    def reported() -> str:
        report = site.run("celery", "-A", "mailworker", "report")
        assert report.returncode == 0, report.stderr
        return report.stdout

    assert "worker_concurrency: 5" in reported()
    (site.folder / "celeryconfig.py").write_text("worker_concurrency = 17\n")
    assert "worker_concurrency: 17" in reported()
    assert "worker_max_tasks_per_child: 16000" in reported()


def test_a_celeryconfig_in_the_folder_of_a_program_that_sends_mail_is_that_program_s_own(site: Site) -> None:
    (site.folder / "celeryconfig.py").write_text("worker_concurrency = 17\ntask_acks_late = False\n")
    assert site.conf("worker_concurrency") == "5"
    assert site.conf("task_acks_late") == "True"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nx = (\n", "line 2: '(' was never closed"),
        ("x = 1\nworker_concurrency = cores\n", "line 2: NameError: name 'cores' is not defined"),
        ("import nothing_of_that_name\n", "line 1: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
    ],
)
def test_a_celeryconfig_that_cannot_be_read_is_told_with_its_line(site: Site, text: str, said: str) -> None:
    (site.folder / "celeryconfig.py").write_text(text)
    result = site.run("celery", "-A", "mailworker", "worker")
    assert (result.returncode, result.stderr) == (78, f"mailworker: celeryconfig.py: {said}\n")


def test_a_site_s_own_celeryconfig_cannot_break_the_promises(site: Site) -> None:
    (site.folder / "celeryconfig.py").write_text("task_acks_late = False\n")
    for command in (("celery", "-A", "mailworker", "worker"), ("celery", "-A", "mailworker", "report")):
        result = site.run(*command)
        assert result.returncode != 0
        assert result.stderr == "mailworker: celeryconfig.py: task_acks_late must stay True\n"


BAD = [
    ({"MAILWORKER_SMTP_URL": f"ftp://user:{PASSWORD}@host"}, "MAILWORKER_SMTP_URL: must begin with smtp://"),
    ({"MAILWORKER_SMTP_URL": f"smtp://user:{PASSWORD}"}, "MAILWORKER_SMTP_URL: the port is not a number"),
    ({"MAILWORKER_SMTP_URL": f"smtp://user:{PASSWORD}@host/x"}, "MAILWORKER_SMTP_URL: must end after host and port"),
    ({"MAILWORKER_REDIS_URL": f"http://:{PASSWORD}@host"}, "MAILWORKER_REDIS_URL: must begin with redis://"),
    ({"MAILWORKER_REDIS_URL": f"redis://:{PASSWORD}@host/mail"}, "MAILWORKER_REDIS_URL: the database"),
    ({"MAILWORKER_FROM": "nobody"}, "MAILWORKER_FROM: an address has no @"),
    ({"MAILWORKER_BATCH": "many"}, "MAILWORKER_BATCH: "),
    ({"MAILWORKER_IN_DOUBT": "guess"}, "MAILWORKER_IN_DOUBT: "),
    ({"MAILWORKER_LEGACY_QUEUES": "a,,b"}, "MAILWORKER_LEGACY_QUEUES: "),
    ({"MAILWORKER_BROKER_URL": f"ampq://:{PASSWORD}@host"}, "MAILWORKER_BROKER_URL: must begin with amqp://"),
    ({"MAILWORKER_SMTP_PASSWORD": PASSWORD}, "MAILWORKER_SMTP_PASSWORD: there is no such setting"),
]


@pytest.mark.parametrize(("settings", "line"), BAD)
def test_a_bad_setting_ends_the_command_with_one_line_and_no_password(
    site: Site, settings: dict[str, str], line: str
) -> None:
    result = site.run("mailworker", "status", **settings)
    assert result.returncode != 0
    assert result.stdout == ""
    assert result.stderr.startswith("mailworker: " + line)
    assert result.stderr.count("\n") == 1
    assert PASSWORD not in result.stderr


@pytest.mark.parametrize(("settings", "line"), [BAD[0], BAD[-2], BAD[-1]])
def test_a_bad_setting_ends_the_worker_with_the_same_line(site: Site, settings: dict[str, str], line: str) -> None:
    result = site.run("celery", "-A", "mailworker", "worker", **settings)
    assert result.returncode != 0
    assert result.stderr.startswith("mailworker: " + line)
    assert (result.stdout + result.stderr).count("\n") == 1
    assert PASSWORD not in result.stderr


def test_an_env_file_is_read_and_its_mistakes_are_told_too(site: Site) -> None:
    (site.folder / ".env").write_text("MAILWORKER_BATCH=7\n")
    code = "from mailworker.runtime import settings; print(settings().batch)"
    assert site.run("python", "-c", code).stdout == "7\n"
    (site.folder / ".env").write_text("MAILWORKER_BATCHES=7\n")
    result = site.run("mailworker", "status")
    assert result.stderr == "mailworker: MAILWORKER_BATCHES: there is no such setting; did you mean MAILWORKER_BATCH?\n"
    (site.folder / ".env").write_text(f"\nMAILWORKER_SMTP_URL='smtps://user:{PASSWORD}@host\nMAILWORKER_BATCH=7\n")
    for command in (("mailworker", "status"), ("celery", "-A", "mailworker", "worker"), ("mailworker", "dead", "list")):
        assert site.run(*command).stderr == "mailworker: .env: line 2: a quote does not close\n"


def test_a_redis_that_does_not_answer_is_one_line_without_its_password(site: Site) -> None:
    result = site.run("mailworker", "status", MAILWORKER_REDIS_URL=REDIS)
    assert result.returncode != 0
    assert result.stderr.startswith("mailworker: Redis does not answer: look whether it runs")
    assert result.stderr.count("\n") == 1
    assert PASSWORD not in result.stderr


def test_every_link_in_the_documents_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
