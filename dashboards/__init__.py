"""Superset's dashboards as code, and the push that makes the server agree with it."""
