"""When, and after what: wiring only. Logic lives in the rooms, SQL in dbt and the rooms."""
