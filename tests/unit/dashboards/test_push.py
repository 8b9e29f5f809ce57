import pytest
from sqlalchemy import make_url

from dashboards.push import _masked, _sqlalchemy_uri


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://dashboards:secret@127.0.0.1:15432/warehouse",
        "postgresql://dashboards:s%3A%2F@db.example:5432/warehouse?sslmode=require&application_name=c",
        "postgresql://dashboards:secret@[::1]:5432/warehouse?options=-c%20work_mem%3D1MB",
    ],
)
def test_address_is_compared_as_superset_tells_it(url):
    """Superset tells it as SQLAlchemy writes it, the password as ten X's."""
    uri = _sqlalchemy_uri(url)
    assert _masked(uri) == make_url(uri).set(password="X" * 10).render_as_string(False)
