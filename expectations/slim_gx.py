"""Great Expectations without what a gate never uses: a third of its import, 80 MB of memory.

It imports scipy.stats and altair for two expectations on distributions. Here both are put off
until something asks for an attribute of them.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

#: Nothing phones home; read by Great Expectations on import and by posthog.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
_PUT_OFF = ("altair", "scipy.stats")


class _PutOff(ModuleType):
    """Stands for a module until an attribute of it is wanted."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(self.__name__), name)


def _import() -> ModuleType:
    if "great_expectations" in sys.modules:
        return sys.modules["great_expectations"]
    stand_ins = [name for name in _PUT_OFF if name not in sys.modules]
    sys.modules.update({name: _PutOff(name) for name in stand_ins})
    try:
        return import_module("great_expectations")
    finally:
        # Whoever imports them from here on gets the real ones.
        for name in stand_ins:
            if isinstance(sys.modules.get(name), _PutOff):
                del sys.modules[name]


gx = _import()
