"""What axe-core finds on a page."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
}
#: Rules that do not hold against a chart's card, by the class that the card's element begins with.
NO_FAULTS = {
    # Superset labels a card with its description, but without a role that may have a label. A
    # program that reads pages aloud passes over it, and finds the same text under the title.
    ("aria-prohibited-attr", "dashboard-chart"),
    # On a phone a wide chart scrolls in its card. Browsers let the keyboard into what scrolls and
    # has nothing else to focus (Chromium from version 130, Firefox).
    ("scrollable-region-focusable", "dashboard-chart"),
}


def findings(page: Any) -> list[str]:
    """Return what axe-core finds serious or critical: the rule, and the place."""
    return [
        f"{found['id']} ({found['impact']}): {node['html'][:300]}"
        for found in Axe().run(page, options=RULES).response["violations"]
        for node in found["nodes"]
        if found["impact"] in ("serious", "critical")
        and not any(
            found["id"] == rule and f'class="{place} ' in node["html"] for rule, place in NO_FAULTS
        )
    ]
