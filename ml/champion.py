"""Which version of a model is champion: the one whose scores the warehouse shows.

The rule: among the versions that were trained on the same data as the newest one, and so evaluated
on the same validation texts, the one with the highest validation macro recall is champion. The
incumbent stays unless it is beaten by `MARGIN`; VADER competes like any other version. Held-out
texts do not decide. An incumbent that was trained on other data is replaced: its macro recall is
not comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from ml.registry import Registry, RegistryError, Version

#: Half a point of macro recall, for which scores of all comments are not worth changing. It is no
#: test: with few hundred texts, differences of some points are within the noise.
MARGIN = 0.005


@dataclass(frozen=True)
class Decision:
    """The champion, the one before it, and the reason as a sentence."""

    champion: Version
    previous: Version | None
    reason: str

    @property
    def changed(self) -> bool:
        """Whether the champion changed."""
        return self.previous is None or self.previous.version != self.champion.version


def decide(versions: Sequence[Version], incumbent: Version | None, fingerprint: str) -> Decision:
    """Apply the rule to the versions of one model; changes nothing.

    Raises `ValueError` when no version was trained on data of that fingerprint.
    """
    rivals = [version for version in versions if version.data_fingerprint == fingerprint]
    # At equal macro recall the older version wins.
    best = max(rivals, key=lambda version: (version.macro_recall, -version.version))
    if incumbent is None:
        return Decision(best, None, f"{_describe(best)}, the first champion")
    if incumbent.data_fingerprint != fingerprint:
        return Decision(
            best,
            incumbent,
            f"{_describe(best)}; version {incumbent.version} was trained on other data "
            "and is not comparable",
        )
    gain = best.macro_recall - incumbent.macro_recall
    if best.version != incumbent.version and gain >= MARGIN:
        return Decision(
            best,
            incumbent,
            f"{_describe(best)}, {100 * gain:.1f} points above {_describe(incumbent)}",
        )
    if best.version == incumbent.version:
        reason = f"{_describe(incumbent)} stays: no other version is better"
    else:
        reason = (
            f"{_describe(incumbent)} stays: {_describe(best)} is not "
            f"{100 * MARGIN:.1f} points better"
        )
    return Decision(incumbent, incumbent, reason)


def promote(
    registry: Registry, model_name: str, fingerprint: str, warehouse_url: str | None = None
) -> Decision:
    """Apply the rule and move the alias `champion`; also in the warehouse, where one is given."""
    decision = decide(registry.versions(model_name), registry.champion(model_name), fingerprint)
    if decision.changed:
        registry.make_champion(decision.champion)
    if warehouse_url:
        with psycopg.connect(warehouse_url) as connection:
            record(connection, decision.champion, decision.reason)
    return decision


def require_champion(registry: Registry, model_name: str) -> Version:
    """Return the champion.

    Raises `RegistryError`, with the remedy, when the model has none.
    """
    champion = registry.champion(model_name)
    if champion is None:
        raise RegistryError(
            f"the model {model_name!r} has no champion; train one with `cityloom train`"
        )
    return champion


def record(connection: psycopg.Connection, champion: Version, reason: str = "") -> None:
    """Write the champion into `ml.champion`; a row of the same version stays as it is.

    Without a `reason` it was chosen by a person, in MLflow.
    """
    connection.execute(
        """
        insert into ml.champion (model_name, model_version, promoted_at, reason)
        values (%s, %s, clock_timestamp(), %s)
        on conflict (model_name) do update set
            model_version = excluded.model_version,
            promoted_at = excluded.promoted_at,
            reason = excluded.reason
            where champion.model_version <> excluded.model_version
        """,
        (
            champion.model_name,
            champion.version,
            reason or f"{_describe(champion)}, chosen in MLflow",
        ),
    )


def _describe(version: Version) -> str:
    return (
        f"version {version.version} ({version.net}, validation macro recall "
        f"{100 * version.macro_recall:.1f})"
    )
