"""A simulated city's departments: seeded, growing by a day, with life's own faults."""
