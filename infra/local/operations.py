"""What `infra.contract.operations` offers for the local deployment."""

from infra.home import cityloom_home as state_dir
from infra.local.doctor import examine
from infra.local.stack import down, remove_state, status, up

__all__ = ["down", "examine", "remove_state", "state_dir", "status", "up"]
