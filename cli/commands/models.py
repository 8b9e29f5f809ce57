"""`cityloom models list`, `train`, `score`: models in MLflow's registry."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cli.display import Json, echo, print_json, styled, table
from infra import contract

if TYPE_CHECKING:
    from ml.registry import Version

app = typer.Typer(help="Models in MLflow's registry. Example: `cityloom models list`")

#: Splits whose macro recall is shown; the rule for the champion uses validation alone.
_SPLITS = ("validation", "heldout", "test")


def _registry() -> tuple[contract.Deployment, str]:
    """Return the deployment and its MLflow's address, with the login in the environment."""
    deployment = contract.load_deployment()
    os.environ.update(deployment.mlflow_environment())
    return deployment, deployment.url("mlflow")


@app.command("list")
def list_(json: Json = False) -> None:
    """List every version of every model with its metrics. Example: cityloom models list --json."""
    from ml.registry import Registry

    versions = Registry(_registry()[1]).versions()
    if json:
        print_json(versions)
    elif versions:
        print_versions(versions)
    else:
        echo("no models yet; `cityloom train` makes one")


def train(
    net: Annotated[str, typer.Option(help="Net to train, by name.")] = "subword",
    data: Annotated[
        Path | None, typer.Option(help="Folder of labelled texts; default: the project's corpus.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Model to add a version to; default: sentiment, or sentiment-FOLDER."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of everything random.")] = 0,
    json: Json = False,
) -> None:
    """Train a net beside VADER, record both in MLflow, and let the rule choose the champion.

    What was already made of the same data, params and code is not made again. Examples:
    cityloom train; cityloom train --data ../shared/data/sentiment/tweeteval
    """
    from ml import train as training

    deployment, mlflow = _registry()
    url, report = deployment.database_url("warehouse"), partial(echo, err=True)
    trained = training.train(
        mlflow, net=net, data=data, model_name=name, warehouse_url=url, seed=seed, report=report
    )
    champion = trained.decision.champion
    versions = [
        replace(version, is_champion=version.version == champion.version)
        for version in {v.version: v for v in (*trained.versions, champion)}.values()
    ]
    if json:
        print_json(
            {
                "model_name": champion.model_name,
                "data": trained.dataset.name,
                "data_fingerprint": trained.dataset.fingerprint,
                "champion": champion.version,
                "reason": trained.decision.reason,
                "versions": versions[: len(trained.versions)],
            }
        )
        return
    print_versions(versions)
    echo(f"champion: {trained.decision.reason}")
    echo(f"runs: {mlflow}")


def score(
    model: Annotated[
        str, typer.Option(help="A model's name (its champion), or a models:/ URI.")
    ] = "sentiment",
) -> None:
    """Read JSON lines with id and text, write id, label, probability and model version.

    The order stays. A bad line is named on stderr with its number, the rest goes on, and the
    command ends with 1. Example:
    echo '{"id": 1, "text": "Thank you!"}' | cityloom score
    """
    from ml.score import BadLine, load_model, score_lines

    loaded = load_model(_registry()[1], model)
    bad = 0
    # What is not UTF-8 becomes a bad line, or a mark in a text, and not the end of the run.
    lines = (line.decode("utf-8", "replace") for line in sys.stdin.buffer)
    for answer in score_lines(loaded, lines):
        if isinstance(answer, BadLine):
            bad += 1
            echo(f"line {answer.number}: {answer.message}", err=True)
        else:
            # In ASCII, an id that holds half a character can be written too.
            print(dumps(answer), flush=True)
    if bad:
        echo(f"{bad:,} line{'' if bad == 1 else 's'} not scored", err=True)
        raise typer.Exit(1)


def print_versions(versions: list[Version]) -> None:
    """Print a table of versions with macro recall, and recall of each label on validation."""
    splits = [s for s in _SPLITS if any(f"{s}_macro_recall" in v.metrics for v in versions)]
    metrics = {f"{split}\nmacro recall": f"{split}_macro_recall" for split in splits}
    for label in ("negative", "neutral", "positive"):
        metrics[f"validation\nrecall {label}"] = f"validation_recall_{label}"
    rows: list[list[object]] = [
        [
            *(version.model_name, styled(version.version), version.net, version.data),
            styled("champion" if version.is_champion else "", "green"),
            *(100 * version.metrics[m] if m in version.metrics else None for m in metrics.values()),
        ]
        for version in versions
    ]
    # Figures that are cut off are worse than a line that the terminal folds.
    console = Console(width=max(Console().width, 150))
    console.print(table(["model", "version", "net", "data", "", *metrics], rows))
