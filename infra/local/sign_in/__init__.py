"""Signing in to Superset and Airflow by the organisation's identity provider (OpenID Connect)."""
