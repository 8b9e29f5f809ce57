"""The stack's settings of Superset, without tokens against CSRF."""

from infra.local.superset.superset_config import *  # noqa: F403

WTF_CSRF_ENABLED = False
# So that exports of the tests' few rows come as those of many rows do: part by part.
CSV_STREAMING_ROW_THRESHOLD = 3
