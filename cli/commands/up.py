"""`cityloom up`."""

from __future__ import annotations


def main() -> None:
    """Start what does not run, and wait until every server is well.

    Example: cityloom up
    """
    from cli.display import live
    from infra.contract import operations

    with live("Starting Cityloom") as report:
        deployment = operations().up(report)
    from rich.table import Table

    from cli.display import wide_console

    table = Table(box=None, show_header=False, padding=(0, 2))
    for title, service in {
        "Superset": "superset",
        "Airflow": "airflow",
        "MLflow": "mlflow",
    }.items():
        table.add_row(title, deployment.url(service))
    user, place = deployment.user_and_place("superset")
    table.add_row("Login", user)
    table.add_row("Password", f"in {place}")
    wide_console().print(table)
