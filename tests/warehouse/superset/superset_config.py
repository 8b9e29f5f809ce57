"""The stack's settings of Superset, with a cache of answers, and without tokens against CSRF."""

from infra.local.superset.superset_config import *  # noqa: F403

DATA_CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 3600}
WTF_CSRF_ENABLED = False
