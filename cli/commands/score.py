"""`cityloom score`."""

from __future__ import annotations

from typing import Annotated

import typer


def main(
    model: Annotated[
        str,
        typer.Option("--model", help="A model's name (its champion), or a models:/ URI."),
    ] = "sentiment",
) -> None:
    """Read JSON lines with id and text, write id, label, probability and model version.

    The order stays. A bad line is told of on stderr with its number, the rest goes on, and the
    command ends with 1. Example:
    echo '{"id": 1, "text": "Thank you!"}' | cityloom score
    """
    import os
    import sys
    from json import dumps

    from infra.contract import load_deployment
    from ml.score import BadLine, load_model, score_lines

    deployment = load_deployment()
    os.environ.update(deployment.mlflow_environment())
    loaded = load_model(deployment.url("mlflow"), model)
    bad = 0
    # What is not UTF-8 becomes a bad line, or a mark in a text, and not the end of the run.
    lines = (line.decode("utf-8", "replace") for line in sys.stdin.buffer)
    for answer in score_lines(loaded, lines):
        if isinstance(answer, BadLine):
            bad += 1
            typer.echo(f"line {answer.number}: {answer.message}", err=True)
        else:
            # In ASCII, an id that holds half a character can be written too.
            sys.stdout.write(dumps(answer) + "\n")
            sys.stdout.flush()
    if bad:
        typer.echo(f"{bad:,} line{'' if bad == 1 else 's'} not scored", err=True)
        raise typer.Exit(1)
