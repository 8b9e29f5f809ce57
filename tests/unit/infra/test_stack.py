import http.server
import json
import threading

import pytest

from infra.local import ports, stack
from infra.local.services import probe_family
from infra.local.settings import settings_from
from infra.local.state import FIRST_PORTS, decide_state


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("CITYLOOM_HOME", str(home))
    monkeypatch.delenv("CITYLOOM_DATABASE_URL", raising=False)
    return home


def test_reset_removes_what_belongs_to_cityloom_and_nothing_else(home):
    (home / "Documents").mkdir(parents=True)
    (home / "Documents" / "letter").write_text("keep me")
    decide_state()
    settings_from(home, {"ports": dict(FIRST_PORTS)}).secret("admin_password")
    (home / "prepared.json.new").write_text("")
    messages = stack.remove_state()
    assert "left there: Documents" in messages[-1]
    assert [path.name for path in home.iterdir()] == ["Documents"]
    assert (home / "Documents" / "letter").read_text() == "keep me"


def test_reset_removes_a_home_with_nothing_else_in_it(home):
    decide_state()
    assert stack.remove_state() == [f"removed {home}"]
    assert not home.exists()


def test_another_server_starts_unprepared(home, monkeypatch):
    """What was prepared on one database is not yet on the next."""
    decide_state()
    settings = settings_from(home, {"ports": dict(FIRST_PORTS)})
    stack.set_prepared(settings, "airflow", "3.3.2 abc")
    assert stack.prepared(settings)["airflow"] == "3.3.2 abc"
    external = {"host": "db.example", "port": 5432, "options": ""}
    moved = settings_from(home, {"ports": dict(FIRST_PORTS), "database": external})
    with pytest.raises(stack.StackError, match="CITYLOOM_DATABASE_URL"):
        stack.prepare_database(moved, None)
    assert stack.prepared(moved) == {}


@pytest.mark.parametrize("family", ["airflow", "mlflow", "superset"])
def test_another_program_on_a_port_is_not_ours(home, family, monkeypatch):
    monkeypatch.setattr(ports, "SETTLE_SECONDS", 0)

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"status": "ok"}).encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        chosen = dict(FIRST_PORTS) | {family: server.server_port}
        answers = probe_family(family, settings_from(home, {"ports": chosen}))
        server.shutdown()
    assert all("another program answers" in wrong for wrong in answers.values())
