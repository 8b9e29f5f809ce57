"""`cityloom train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.display import echo, print_json


def main(
    net: Annotated[str, typer.Option("--net", help="Net to train, by name.")] = "subword",
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of labelled texts; default: the project's corpus."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Model to add a version to; default: sentiment, or sentiment-FOLDER."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Train a net beside VADER, record both in MLflow, and let the rule choose the champion.

    What was already made of the same data, params and code is not made again. Examples:
    cityloom train; cityloom train --data ../shared/data/sentiment/tweeteval
    """
    import os

    from cli.commands.models import as_dict, print_versions
    from infra.contract import load_deployment
    from ml.train import train

    deployment = load_deployment()
    os.environ.update(deployment.mlflow_environment())
    training = train(
        deployment.url("mlflow"),
        net=net,
        data=data,
        model_name=name,
        warehouse_url=deployment.database_url("warehouse"),
        seed=seed,
        report=lambda line: echo(line, err=True),
    )
    champion = training.decision.champion
    if json:
        print_json(
            {
                "model_name": champion.model_name,
                "data": training.dataset.name,
                "data_fingerprint": training.dataset.fingerprint,
                "champion": champion.version,
                "reason": training.decision.reason,
                "versions": [as_dict(v, champion.version) for v in training.versions],
            }
        )
        return
    shown = {version.version: version for version in (*training.versions, champion)}
    print_versions(list(shown.values()), champions={champion.model_name: champion.version})
    typer.echo(f"runs: {deployment.url('mlflow')}")
