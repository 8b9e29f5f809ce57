"""What `infra.contract.operations` offers for the local deployment."""

from infra.local.doctor import examine
from infra.local.stack import down, remove_state, status, stop_whatever_runs, up

__all__ = ["down", "examine", "remove_state", "status", "stop_whatever_runs", "up"]
