"""Superset's dashboards as code: push makes the server agree with it, pull writes it."""
