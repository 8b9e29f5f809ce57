"""Great Expectations' HTML with the values of departments escaped: its own view lets some through.

Importing this module imports Great Expectations.
"""

from __future__ import annotations

from html import escape
from typing import Any

from great_expectations.render.view import DefaultJinjaSectionView
from jinja2 import pass_context


class EscapingSectionView(DefaultJinjaSectionView):
    """Draws one section; plain texts and parameters of templates are text, never markup."""

    @pass_context
    def render_content_block(
        self,
        jinja_context: Any,
        content_block: Any,
        index: Any = None,
        content_block_id: Any = None,
        render_to_markdown: bool = False,
    ) -> Any:
        """Draw a block; a bare text (a cell of a table, an observed value) is escaped."""
        if isinstance(content_block, str):
            return escape(content_block)
        if isinstance(content_block, list):
            content_block = [
                escape(part) if isinstance(part, str) else part for part in content_block
            ]
        return super().render_content_block(
            jinja_context, content_block, index, content_block_id, render_to_markdown
        )

    def render_string_template(self, template: Any) -> Any:
        """Fill a template, whose parameters the original escapes; a bare text is escaped here."""
        if isinstance(template, str):
            return escape(template)
        return super().render_string_template(template)
