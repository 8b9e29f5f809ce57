"""Great Expectations, imported without what no gate uses: a third of its time, 80 MB of memory.

It imports scipy.stats and altair for two expectations on distributions. Here both are imported
when an attribute of them is first used.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

#: No usage statistics are sent; read by Great Expectations on import and by posthog.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
_DEFERRED = ("altair", "scipy.stats")


class _Deferred(ModuleType):
    """Stands for a module until an attribute of it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(self.__name__), name)


def _import() -> ModuleType:
    if "great_expectations" in sys.modules:
        return sys.modules["great_expectations"]
    stand_ins = [name for name in _DEFERRED if name not in sys.modules]
    sys.modules.update({name: _Deferred(name) for name in stand_ins})
    try:
        return import_module("great_expectations")
    finally:
        # Imports from here on get the real ones.
        for name in stand_ins:
            if isinstance(sys.modules.get(name), _Deferred):
                del sys.modules[name]


gx = _import()
# Its notes on each step would hide what a gate found; one module sets a level of its own.
for _name in ("great_expectations", "great_expectations.data_context.types.base"):
    logging.getLogger(_name).setLevel(logging.WARNING)
