"""Superset in one process, asked by users of each role; run by Superset's own interpreter.

Reads from stdin `{"database": URI, "tables": [[schema, name, uuid, {column: type}]], "users":
{name: [role]}}`, then one request a line, `[user, method, path, body]`, and answers each with a
line `[status, text]`. In a body "@<name>" stands for the id of a dataset, "@db" for that of the
warehouse; in a path @{<name>}. A body `{"form": {...}}` is sent as a form.
"""

import io
import json
import re
import subprocess
import sys
import zipfile
from uuid import UUID

answers = sys.stdout
sys.stdout = sys.stderr  # what Superset prints by itself
plan = json.loads(sys.stdin.readline())
# In a process of its own: Superset makes one application a process.
subprocess.run(
    [sys.executable, "-m", "infra.local.prepare", "superset"], check=True, stdout=sys.stderr
)

from superset.app import create_app  # noqa: E402

app = create_app()
with app.app_context():
    from superset import security_manager as security
    from superset.connectors.sqla.models import SqlaTable, TableColumn
    from superset.extensions import db
    from superset.models.core import Database

    # A module of tests before may have left its own in the session's database.
    for kind in (SqlaTable, Database):
        for left in db.session.query(kind).all():
            db.session.delete(left)
    for left in map(security.find_user, plan["users"]):
        if left is not None:
            left.roles = []
            db.session.delete(left)
    db.session.commit()
    warehouse = Database(database_name="Cityloom", expose_in_sqllab=True)
    warehouse.set_sqlalchemy_uri(plan["database"])
    db.session.add(warehouse)
    db.session.commit()
    ids = {"db": warehouse.id}
    for schema, name, uuid, columns in plan["tables"]:
        dataset = SqlaTable(table_name=name, schema=schema, database=warehouse, uuid=UUID(uuid))
        dataset.columns = [
            TableColumn(column_name=column, type=kind, is_dttm=kind == "DATE")
            for column, kind in columns.items()
        ]
        db.session.add(dataset)
        db.session.commit()
        ids[name] = dataset.id
    for name, roles in plan["users"].items():
        for role in roles:
            security.add_role(role)
        made = [security.find_role(role) for role in roles]
        assert security.add_user(name, name, name, f"{name}@x.invalid", made, "password-1")

clients = {}


def ask(user, method, path, body):
    """Return the status and the text of an answer to a logged-in user."""
    if user == "stranger":
        clients[user] = app.test_client(), {}
    elif user not in clients:
        client = app.test_client()
        login = {"username": user, "password": "password-1", "provider": "db"}
        answer = client.post("/api/v1/security/login", json=login)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        # Pages know a user by the session that a browser gets.
        client.post("/login/", data=login)
        clients[user] = client, {"Authorization": f"Bearer {answer.json['access_token']}"}
    client, headers = clients[user]
    sent = {"data": body["form"]} if body and "form" in body else {"json": body}
    answer = client.open(path, method=method, headers=headers, **sent)
    return [answer.status_code, answer.headers.get("Location", "") or text_of(answer.get_data())]


def text_of(data):
    """Return an answer as text; of a spreadsheet or an export, that of the files in it."""
    if not data.startswith(b"PK"):
        return data.decode(errors="replace")
    with zipfile.ZipFile(io.BytesIO(data)) as files:
        return "\n".join(files.read(name).decode(errors="replace") for name in files.namelist())


def with_ids(text):
    return re.sub(r'"@(\w+)"|@\{(\w+)\}', lambda m: str(ids[m[1] or m[2]]), text)


print(json.dumps("ready"), file=answers, flush=True)
for line in sys.stdin:
    print(json.dumps(ask(*json.loads(with_ids(line)))), file=answers, flush=True)
