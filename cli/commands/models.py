"""`cityloom models list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.display import print_json, table

if TYPE_CHECKING:
    from ml.registry import Version

app = typer.Typer(help="Models in MLflow's registry. Example: `cityloom models list`")

#: Splits whose macro recall is shown; the rule for the champion uses validation alone.
_SPLITS = ("validation", "heldout", "test")


@app.callback()
def main() -> None:
    """Models in MLflow's registry."""


@app.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List every version of every model with its metrics. Example: cityloom models list --json."""
    import os

    from infra.contract import load_deployment
    from ml.registry import Registry

    deployment = load_deployment()
    os.environ.update(deployment.mlflow_environment())
    versions = Registry(deployment.url("mlflow")).versions()
    if json:
        print_json([as_dict(version) for version in versions])
    elif versions:
        print_versions(versions)
    else:
        typer.echo("no models yet; `cityloom train` makes one")


def as_dict(version: Version, champion: int | None = None) -> dict[str, Any]:
    """Return a version as JSON has it; macro recall in 0..1."""
    from datetime import UTC, datetime

    created = datetime.fromtimestamp(version.created_at / 1000, UTC)
    return {
        "model_name": version.model_name,
        "version": version.version,
        "is_champion": version.is_champion if champion is None else version.version == champion,
        "net": version.net,
        "data": version.data,
        "data_fingerprint": version.data_fingerprint,
        "created_at": created.isoformat(timespec="seconds"),
        "run_id": version.run_id,
        "reused": version.reused,
        "metrics": version.metrics,
    }


def print_versions(versions: list[Version], champions: dict[str, int] | None = None) -> None:
    """Print a table of versions with macro recall, and recall of each label on validation.

    `champions`: version of each model's champion, where that of `versions` is out of date.
    """
    from rich.console import Console
    from rich.text import Text

    splits = [s for s in _SPLITS if any(f"{s}_macro_recall" in v.metrics for v in versions)]
    figures = {f"{split}\nmacro recall": f"{split}_macro_recall" for split in splits}
    labels = ("negative", "neutral", "positive")
    figures |= {f"recall\n{label}": f"validation_recall_{label}" for label in labels}

    def row(version: Version) -> list[object]:
        champion = version.is_champion
        if champions is not None:
            champion = champions.get(version.model_name) == version.version
        return [
            version.model_name,
            Text(str(version.version)),
            version.net,
            version.data,
            Text("champion" if champion else "", "green"),
            *(100 * found if (found := version.metrics.get(f)) is not None else None
              for f in figures.values()),
        ]  # fmt: skip

    shown = table(
        ["model", "version", "net", "data", "", *figures],
        [row(version) for version in versions],
        text=lambda value: f"{value:.1f}" if isinstance(value, float) else str(value),
    )
    # Figures that are cut off are worse than a line that the terminal folds.
    Console(width=max(Console().width, 150)).print(shown)
