"""The gates: what a load must satisfy before the warehouse believes it."""
