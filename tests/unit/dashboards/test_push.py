import httpx
import pytest
from sqlalchemy import make_url

from dashboards.push import _masked, _sqlalchemy_uri
from dashboards.superset import Superset


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


@pytest.mark.parametrize(("status", "reads"), [(200, True), (422, False), (500, False)])
def test_a_database_that_superset_cannot_enter_is_no_error_of_the_push(status, reads):
    """Superset answers 500 when the warehouse refuses its password: that is to be mended."""
    superset = Superset("http://127.0.0.1:1", "admin", "secret")
    answer = httpx.MockTransport(lambda request: httpx.Response(status, json={}))
    superset._http = httpx.Client(base_url=superset.url, transport=answer)
    assert superset.reads("/api/v1/database/1/schemas/", q="(force:!t)") is reads
