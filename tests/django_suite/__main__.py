"""Runs Django's own mail tests with our backend: `python -m tests.django_suite <the folder tests of Django's source>`.

Django 5.2 has them in `mail/tests.py`, 6.1 those of backends in `mail/test_backends.py`. Prints one JSON object.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
import unittest
from email import message_from_bytes, policy
from typing import Any

import django
from django.conf import settings

from . import left_out

settings.configure(
    USE_TZ=False,
    SECRET_KEY="none",
    DEFAULT_FROM_EMAIL="webmaster@localhost",
    LANGUAGE_CODE="en",
    MAILWORKER={"SMTP_URL": "memory://"},
)
sys.path.insert(0, sys.argv[1])
django.setup()

from django.core import mail  # noqa: E402 - Django wants its settings first
from django.test.runner import DiscoverRunner  # noqa: E402

from mailworker import django as ours  # noqa: E402
from mailworker.mail.email import Limits  # noqa: E402
from mailworker.mail.finished.raw_arguments import raw_mail  # noqa: E402
from mailworker.testing import outbox  # noqa: E402

NEW = django.VERSION >= (6, 1)
modules = ["mail.tests", "mail.test_sendtestemail"]
if NEW:
    modules += ["mail.test_backends", "mail.test_handler"]  # not those of settings that Django has given up
loaded = {name: importlib.import_module(name) for name in modules}
backends = loaded["mail.test_backends" if NEW else "mail.tests"]
fed: list[str] = []


class Mailbox:
    """What Django's tests ask a backend's test for."""

    email_backend = "mailworker.django.EmailBackend"
    backend_class = ours.EmailBackend

    def create_backend(self, *, alias: str | None = "test_alias", **options: Any) -> Any:
        """Without the host and the port that theirs must have."""
        return ours.EmailBackend(**({"alias": alias} if alias is not None else {}), **options)

    def get_mailbox_content(self) -> list[Any]:
        """As what came to their SMTP server: 6.1 leaves the line end at the end of a message, 5.2 does not."""
        texts = [sent.data.replace(b"\r\n", b"\n") for sent in outbox]
        return [message_from_bytes(text if NEW else text.rstrip(), policy=policy.default) for text in texts]

    def get_smtp_envelopes(self) -> list[dict[str, Any]]:
        return [{"mail_from": sent.sender, "rcpt_tos": list(sent.recipients)} for sent in outbox]

    def flush_mailbox(self) -> None:
        outbox.clear()

    def assertRaisesMessage(self, error: Any, words: str, *args: Any, **kwargs: Any) -> Any:
        """What is no address is told in our words."""
        words = "recipients[0]: " if words == "Invalid address" else words
        return super().assertRaisesMessage(error, words, *args, **kwargs)  # type: ignore[misc]

    def test_create_from_mailers(self) -> None:
        """What they ask of every backend, and not with the options of SMTP."""
        if NEW:
            backends.SharedEmailBackendTests.test_create_from_mailers(self)

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        outbox.clear()


def in_the_place_of(theirs: type) -> type:
    """Their tests of one backend, with ours wherever they name theirs."""
    name = f"Mailworker{theirs.__name__}"
    case = type(name, (Mailbox, theirs), {"__module__": __name__})
    for test in left_out.REASONS:
        if hasattr(case, test):
            setattr(case, test, unittest.skip("left out")(lambda self: None))
    return case


class SmtpBackend(ours.EmailBackend):
    """Where a test makes `smtp.EmailBackend(…)` itself."""


def feed(build: Any) -> Any:
    """Each message that any of their tests builds is read as ours, too, and comes out as it went in."""

    def message(self: Any, *args: Any, **kwargs: Any) -> Any:
        built = build(self, *args, **kwargs)
        try:
            octets = built.as_bytes()
        except Exception:  # noqa: BLE001 - such a one nobody sends
            return built
        mail = raw_mail(built, "a@example.com", ["b@example.com"], None, Limits())
        lines = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        fed.append("same" if mail.message.removesuffix(b"\r\n") == lines.removesuffix(b"\r\n") else repr(octets))
        return built

    return message


def main() -> None:
    mail.EmailMessage.message = feed(mail.EmailMessage.message)
    case = in_the_place_of(backends.SMTPBackendTests)
    backends_of_ours = types.SimpleNamespace(EmailBackend=SmtpBackend)
    suites = [unittest.defaultTestLoader.loadTestsFromModule(module) for module in loaded.values()]
    runner = DiscoverRunner(verbosity=0, interactive=False)
    runner.setup_test_environment()
    theirs = unittest.TextTestRunner(verbosity=0).run(unittest.TestSuite(suites))
    real, backends.smtp = backends.smtp, backends_of_ours
    mine = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromTestCase(case))
    backends.smtp = real
    runner.teardown_test_environment()
    names = set(unittest.defaultTestLoader.getTestCaseNames(case))
    shared = backends.SharedEmailBackendTests if NEW else backends.BaseEmailBackendTests
    print(json.dumps({
        "django": django.get_version(),
        "theirs": {"run": theirs.testsRun, "bad": [str(test) for test, _ in theirs.failures + theirs.errors]},
        "ours": {
            "run": mine.testsRun - len(mine.skipped),
            "bad": [str(test) for test, _ in mine.failures + mine.errors],
        },
        "shared": sorted(name for name in dir(shared) if name.startswith("test")),
        "left out": sorted(names & left_out.REASONS.keys()),
        "fed": len(fed), "changed": [octets for octets in fed if octets != "same"],
    }))  # fmt: skip


main()
