"""supervisord, which hands each server only what it needs of the environment of `up`.

Run as `python -m infra.local.supervisord -c CONFIG`. What a server is given in CONFIG comes on top.
"""

from __future__ import annotations

import os
import re

from supervisor import supervisord
from supervisor.options import ServerOptions

#: Every server gets these, the database no other.
BASE = re.compile(r"PATH|LANG|LANGUAGE|LC_\w+|TZ|CITYLOOM_HOME")
#: A server of ours that is written in Python: also its ways to files, to the world and to a GPU.
PYTHON = re.compile(
    r"HOME|TMPDIR|LD_LIBRARY_PATH|CUDA_\w+|CITYLOOM_\w+"
    r"|(HTTPS?|ALL|NO)_PROXY|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE",
    re.IGNORECASE,
)
INHERITED = dict(os.environ)


class Options(ServerOptions):
    """supervisor's own, but for the environment of a server."""

    def execve(self, filename: str, argv: list[str], env: dict[str, str]) -> None:
        """Become the server. Airflow's tasks read tokens that manifests name: it gets all."""
        service = env["CITYLOOM_SERVICE"]
        if service.startswith("airflow"):
            env = INHERITED | env
        elif service != "postgres":
            env = {key: INHERITED[key] for key in INHERITED if PYTHON.fullmatch(key)} | env
        super().execve(filename, argv, env)


if __name__ == "__main__":
    for name in INHERITED:
        if not BASE.fullmatch(name):
            del os.environ[name]
    supervisord.ServerOptions = Options
    supervisord.main()
