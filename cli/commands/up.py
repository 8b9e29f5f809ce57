"""`cityloom up`."""

from __future__ import annotations


def main() -> None:
    """Start what does not run, and wait until every server is well.

    Example: cityloom up
    """
    from cli.display import live
    from infra.stack import up

    with live("Starting Cityloom") as report:
        settings = up(report)
    from rich.table import Table

    from cli.display import wide_console

    table = Table(box=None, show_header=False, padding=(0, 2))
    for title, service in {
        "Superset": "superset",
        "Airflow": "airflow",
        "MLflow": "mlflow",
    }.items():
        table.add_row(title, settings.url(service))
    table.add_row("Login", settings.admin_user)
    table.add_row("Password", f"in {settings.home / 'secrets' / 'admin_password'}")
    wide_console().print(table)
