"""Running the tests' tiers one after the other, each with its time: `python -m infra.tiers unit`.

All are run, also after one that failed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
#: The unit tier has no server to share: a file of tests goes to whichever core is free.
OPTIONS = {"unit": ["-n", "2", "--dist", "loadfile"]}
#: pytest's status when it collected nothing.
NO_TESTS = 5


def main(tiers: list[str]) -> int:
    """Run tiers in order; print a line for each at the end; return 1 when one failed."""
    lines = []
    failed = False
    for tier in tiers:
        began = time.monotonic()
        print(f"--- {tier}", flush=True)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", str(TESTS / tier), "-q", "--durations=5"),
                *OPTIONS.get(tier, ()),
            ],
            cwd=TESTS.parent,
        )
        failed |= done.returncode != 0
        word = {0: "passed", NO_TESTS: "has no tests"}.get(done.returncode, "failed")
        lines.append(f"{tier:<10} {word:<12} {time.monotonic() - began:6.1f} s")
    print("\n" + "\n".join(lines), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
