"""Paging a Socrata dataset by key, as a paginator of dlt's REST client."""

from __future__ import annotations

from typing import Any

from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response


class KeysetPaginator(BasePaginator):
    """Asks for the rows after the last one read, in the order of `:updated_at, :id`."""

    def __init__(self, where: str | None, start: str | None) -> None:
        super().__init__()
        self.where = where
        self.position = start
        self._id: str | None = None

    def init_request(self, request: Request) -> None:
        """Set the filter of the first page: from the position on, that moment included."""
        start = f":updated_at >= '{self.position}'" if self.position else None
        self._filter(request, start)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Note the last row. Only an empty page is the end: a portal may cap pages at less than
        was asked for.
        """
        if data:
            self.position, self._id = data[-1][":updated_at"], data[-1][":id"]
        self._has_next_page = bool(data)

    def update_request(self, request: Request) -> None:
        """Set the filter of the next page."""
        at, last = f"'{self.position}'", f"'{self._id}'"
        self._filter(request, f"(:updated_at > {at} OR (:updated_at = {at} AND :id > {last}))")

    def _filter(self, request: Request, after: str | None) -> None:
        parts = [f"({self.where})" if self.where else None, after]
        where = " AND ".join(part for part in parts if part)
        if where:
            request.params["$where"] = where
