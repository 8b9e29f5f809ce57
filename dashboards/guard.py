"""Metrics that are right whichever filters stand, or give nothing.

A report has rows for each district beside rows for the whole city, and of every city: what picks
or adds over all of them is a figure of nothing. A dataset that says of what a figure is (`one`,
`area`) has its metrics compiled with that condition, so that a query refuses, wherever it is asked.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from catalog.indicators import WHOLE_CITY


def guarded(sql: str, one: tuple[str, ...] = (), area: str | None = None) -> str:
    """Return a metric's SQL that gives NULL when the query's rows are of several `one`s.

    `one` names columns that must have one value in all rows of the query; where `area` has several,
    the whole city's rows count. SQL with a window function is returned as it is: it decides for
    itself. Raises `sqlglot.errors.ParseError` for what is not SQL.
    """
    tree = sqlglot.parse_one(sql, read="postgres")
    if not (one or area) or tree.find(exp.Window):
        return sql
    picked = sql
    if area:
        whole = _of_whole_city(tree, area).sql("postgres")
        picked = f"CASE WHEN {_is_one(area)} THEN {sql} ELSE {whole} END"
    if not one:
        return picked
    return f"CASE WHEN {' AND '.join(map(_is_one, one))} THEN {picked} END"


def _is_one(column: str) -> str:
    """Return the condition that all rows of the query, in whatever groups, have one value."""
    return f"MIN(MIN({column})) OVER () = MAX(MAX({column})) OVER ()"


def _of_whole_city(tree: exp.Expr, area: str) -> exp.Expr:
    condition = sqlglot.condition(f"{area} = '{WHOLE_CITY}'", dialect="postgres")

    def narrowed(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Filter):
            node.expression.set("this", exp.and_(node.expression.this, condition))
            return node
        if isinstance(node, exp.AggFunc) and not isinstance(node.parent, exp.Filter):
            return exp.Filter(this=node.copy(), expression=exp.Where(this=condition.copy()))
        return node

    return tree.copy().transform(narrowed)
