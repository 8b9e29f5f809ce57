"""The catalog: reads `cities/` and the indicators, and generates what dbt reads of them."""
