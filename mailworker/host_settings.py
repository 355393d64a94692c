"""Settings that a program has where it has its own: names like ours in Django's settings.

Django is looked at where it is loaded and knows its settings, and never loaded for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

PREFIX: Final = "MAILWORKER_"
GROUP: Final = "MAILWORKER"
"""A dict of the same, without the prefix before each."""


def are_there() -> bool:
    """Is there a host that knows its settings by now?"""
    module = sys.modules.get("django.conf")
    return module is not None and bool(module.settings.configured)


def read() -> dict[str, str]:
    """As texts, as the environment has them."""
    if not are_there():
        return {}
    settings = sys.modules["django.conf"].settings
    group = getattr(settings, GROUP, None)
    found = {PREFIX + str(name): value for name, value in group.items()} if isinstance(group, Mapping) else {}
    found |= {name: getattr(settings, name) for name in dir(settings) if name.startswith(PREFIX)}
    return {name: text(value) for name, value in found.items() if value is not None}


def when_changed(forget: Callable[[], None]) -> None:
    """Has it called when a test of Django's overrides one of these."""
    if not are_there():
        return
    signals = import_module("django.core.signals")

    def changed(*, setting: str, **_: Any) -> None:
        if setting.startswith(GROUP):
            forget()

    signals.setting_changed.connect(changed, weak=False, dispatch_uid="mailworker")


def text(value: Any) -> str:
    """A value of Python as the environment would have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)
