"""The catalog: reads and validates what `cities/` says, and generates what follows from it."""
