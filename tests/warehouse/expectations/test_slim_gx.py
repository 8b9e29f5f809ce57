"""What importing Great Expectations brings into a process, in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def test_great_expectations_comes_without_what_no_gate_uses():
    program = """
import sys
from expectations import gate
assert "great_expectations" not in sys.modules, "the gate is imported by every task"
from expectations.slim_gx import gx
assert not {"altair", "scipy.stats"} & set(sys.modules), "imported after all"
from great_expectations.expectations.core import expect_column_kl_divergence_to_be_less_than as kl
assert callable(kl.stats.entropy) and kl.alt.Chart.__name__ == "Chart", "put off, not taken away"
import scipy.stats
assert scipy.stats.norm.cdf(0) == 0.5
"""
    subprocess.run([sys.executable, "-c", program], check=True)
