"""`cityloom models list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ml.registry import Version

app = typer.Typer(help="Models in MLflow's registry. Example: `cityloom models list`")

#: Splits whose figures are shown; validation decides, the rest is only told.
_SPLITS = ("validation", "heldout", "test")


@app.callback()
def main() -> None:
    """Models in MLflow's registry."""


@app.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List every version of every model with its figures. Example: cityloom models list --json."""
    import os

    from infra.settings import load_settings
    from ml.registry import Registry

    settings = load_settings()
    os.environ.update(settings.mlflow_environment)
    versions = Registry(settings.url("mlflow")).versions()
    if json:
        from json import dumps

        typer.echo(dumps([as_dict(version) for version in versions], indent=2))
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
        "figures": version.figures,
    }


def print_versions(versions: list[Version], champions: dict[str, int] | None = None) -> None:
    """Print a table of versions with macro recall, and recall of each label on validation."""
    from rich.console import Console
    from rich.table import Table

    splits = [s for s in _SPLITS if any(f"{s}_macro_recall" in v.figures for v in versions)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("model", "version", "net", "data", ""):
        table.add_column(column, no_wrap=True)
    for split in splits:
        table.add_column(f"{split}\nmacro recall", justify="right", no_wrap=True)
    for label in ("negative", "neutral", "positive"):
        table.add_column(f"recall\n{label}", justify="right", no_wrap=True)

    def percent(version: Version, name: str) -> str:
        return f"{100 * version.figures[name]:.1f}" if name in version.figures else ""

    for version in versions:
        champion = version.is_champion
        if champions is not None:
            champion = champions.get(version.model_name) == version.version
        table.add_row(
            version.model_name,
            str(version.version),
            version.net,
            version.data,
            "[green]champion[/]" if champion else "",
            *(percent(version, f"{split}_macro_recall") for split in splits),
            *(
                percent(version, f"validation_recall_{label}")
                for label in ("negative", "neutral", "positive")
            ),
        )
    # Figures that are cut off are worse than a line that the terminal folds.
    Console(width=max(Console().width, 150)).print(table)
