"""The stack's settings of Superset, without tokens against CSRF."""

from infra.local.superset.superset_config import *  # noqa: F403

WTF_CSRF_ENABLED = False
