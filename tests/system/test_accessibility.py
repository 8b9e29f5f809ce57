"""Pages can be used by people who see or point differently: axe-core's rules for WCAG 2.2 AA."""

import pytest

from dashboards.browser import open_dashboard
from dashboards.chromium import ensure
from dashboards.code import load_dashboards
from tests.axe import findings

pytestmark = pytest.mark.usefixtures("demo")


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("slug", [dashboard.slug for dashboard in load_dashboards()])
def test_no_page_has_a_serious_finding(stack, slug, width):
    settings = stack.settings
    login = settings.url("superset"), settings.admin_user, settings.admin_password
    with open_dashboard(*login, slug, executable=ensure(), width=width) as page:
        assert findings(page) == []
