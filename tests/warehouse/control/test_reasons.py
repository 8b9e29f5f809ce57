"""Reason codes of loads: one sentence each in the database, also in older installations."""

from __future__ import annotations

import psycopg
import pytest

from warehouse.reasons import Reason
from warehouse.schema import create_schemas


def test_every_code_has_a_sentence_in_the_database(warehouse):
    with psycopg.connect(warehouse.url) as connection:
        stored = dict(connection.execute("select * from quality.load_reason").fetchall())
    assert stored == {reason.value: reason.sentence for reason in Reason}
    assert all(sentence.endswith(".") and len(sentence) < 90 for sentence in stored.values())


def test_an_older_installation_gets_the_column_and_keeps_its_loads(warehouse):
    with psycopg.connect(warehouse.url) as connection:
        connection.execute("alter table quality.loads drop column reason_code")
        connection.execute("drop table quality.load_reason")
        connection.execute(
            "insert into quality.loads (city_id, source_id, mode, state, message) "
            "values ('demo', 'permits', 'read', 'failed', 'why')"
        )
    create_schemas(warehouse.url)
    create_schemas(warehouse.url)
    with psycopg.connect(warehouse.url) as connection:
        found = connection.execute("select message, reason_code from quality.loads").fetchall()
        assert found == [("why", None)]
        connection.execute("update quality.loads set reason_code = 'volume_drop'")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("update quality.loads set reason_code = 'no such code'")
