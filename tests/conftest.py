"""For every tier: no time limit on examples, ids that all processes collect alike, clean ends."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes depends on what else the machine does.
settings.register_profile("cityloom", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cityloom")


def pytest_configure() -> None:
    """End a terminated run as an interrupted one ends: with its fixtures, which stop servers."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--renew-snapshots`: write reviewed files, such as the graph of DAGs, anew."""
    parser.addoption("--renew-snapshots", action="store_true", help="write reviewed files anew")


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Keep bytes out of a test's id: compressed ones may hold the time at which they were made.

    xdist's processes must collect the same ids, or no test runs at all.
    """
    return argname if isinstance(val, bytes) else None
