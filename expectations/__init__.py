"""The gates: what a load must satisfy before its rows are accepted."""
