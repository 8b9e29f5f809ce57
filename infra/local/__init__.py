"""Everything on one machine: embedded PostgreSQL, and all servers under supervisor."""
