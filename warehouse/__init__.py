"""The warehouse itself: roles and their tiers, schemas, control tables, dbt runs, outcomes."""
