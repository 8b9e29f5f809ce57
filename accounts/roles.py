"""What a person's role is on each server.

PostgreSQL's own part of a role is in `warehouse.tiers.ROLES`; the permissions behind the roles of
Superset and Airflow are made by `infra.local.prepare`, those of MLflow by `accounts.servers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Role:
    """A role: its name in Superset and Airflow, and what it may in MLflow.

    `sql`: whether its people have a login on PostgreSQL of their own, for SQL clients.
    """

    web: str
    mlflow: Literal["", "READ", "EDIT", "admin"] = ""
    sql: bool = False


ROLES: Mapping[str, Role] = {
    "reader_open": Role("reader_open"),
    "department_head": Role("department_head"),
    "analyst": Role("analyst", sql=True),
    "cio": Role("cio"),
    "data_engineer": Role("data_engineer", mlflow="READ", sql=True),
    "ml_engineer": Role("ml_engineer", mlflow="EDIT", sql=True),
    "admin": Role("Admin", mlflow="admin"),
}
