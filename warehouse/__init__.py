"""The warehouse itself: roles, schemas, control tables, dbt runs and their outcomes."""
