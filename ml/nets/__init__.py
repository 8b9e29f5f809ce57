"""Nets that classify sentiment. A net is a file here and a line in `NETS`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.nets.base import Net

#: Name of a net -> module and class. Imported on use.
NETS = {
    "subword": "ml.nets.subword:Subword",
}


class UnknownNet(Exception):
    """A net that is not in `NETS`."""


def net_class(name: str) -> type[Net]:
    """Return the class of a net by name.

    Raises `UnknownNet`, which lists the known nets.
    """
    if name not in NETS:
        raise UnknownNet(f"no net {name!r}; there are: {', '.join(sorted(NETS))}")
    module, _, attribute = NETS[name].partition(":")
    return getattr(import_module(module), attribute)
