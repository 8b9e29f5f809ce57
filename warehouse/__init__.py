"""The warehouse's own machinery: roles and control tables, dbt runs and their outcomes."""
