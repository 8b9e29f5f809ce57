"""`cityloom env`."""

from __future__ import annotations


def main() -> None:
    """Print the variables that dbt's profile reads, for `dbt` by hand in `dbt_project/`.

    Example: eval "$(cityloom env)" && cd dbt_project && dbt build
    """
    import shlex

    from infra.contract import load_deployment
    from warehouse.dbt import environment

    for name, value in environment(load_deployment().database_url("warehouse")).items():
        print(f"export {name}={shlex.quote(value)}")
