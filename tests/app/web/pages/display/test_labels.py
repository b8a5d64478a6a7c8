"""Texts of values for display."""

import pytest

from app.web.pages.display.labels import format_share


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0%"), (0.0004, "<0.1%"), (0.25, "25.0%"), (0.9996, "100.0%"), (1, "100%")],
)
def test_share_has_no_decimals_if_it_is_all(share, text):
    assert format_share(share) == text
