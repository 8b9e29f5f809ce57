"""A simulated city's departments: seeded, growing day by day, with realistic data faults.

`ensure(drop_dir)` makes the files where they are absent, `grow(drop_dir, days)` adds days.
What the files hold depends on the seed, the corpus' held-out part and the last day alone, never
on the clock or on how the day was reached.
"""

from simulator.growth import LAST_DAY, BrokenDrop, ensure, grow, last_day

__all__ = ["LAST_DAY", "BrokenDrop", "ensure", "grow", "last_day"]
