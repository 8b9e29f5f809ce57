"""Pages can be used by people who see or point differently: axe-core's rules for WCAG 2.2 AA."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from dashboards.browser import open_dashboard
from dashboards.chromium import ensure
from dashboards.code import load_dashboards

pytestmark = pytest.mark.usefixtures("demo")
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
}
#: Superset labels a card with its description, but without a role that may have a label. A program
#: that reads pages aloud passes over it, and finds the same text under the chart's title.
SUPERSETS_OWN = ("aria-prohibited-attr", "dashboard-chart")


def findings(page: Any) -> list[str]:
    """Return what axe-core finds serious or critical: the rule, and the place."""
    rule, place = SUPERSETS_OWN
    return [
        f"{found['id']} ({found['impact']}): {node['html'][:300]}"
        for found in Axe().run(page, options=RULES).response["violations"]
        for node in found["nodes"]
        if found["impact"] in ("serious", "critical")
        and not (found["id"] == rule and f'class="{place} ' in node["html"])
    ]


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("slug", [dashboard.slug for dashboard in load_dashboards()])
def test_no_page_has_a_serious_finding(stack, slug, width):
    settings = stack.settings
    login = settings.url("superset"), settings.admin_user, settings.admin_password
    with open_dashboard(*login, slug, executable=ensure(), width=width) as page:
        assert findings(page) == []
