"""The catalog: reads and validates `cities/`, and generates what dbt reads of it."""
