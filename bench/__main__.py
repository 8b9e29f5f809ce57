"""`python -m bench`: every benchmark, one after the other; ends with 1 when one misses its aim."""

from __future__ import annotations

import subprocess
import sys

missed = False
for name in ("ingest", "dbt", "history"):
    print(f"--- {name}", flush=True)
    missed |= subprocess.run([sys.executable, "-m", f"bench.{name}"]).returncode != 0
sys.exit(missed)
