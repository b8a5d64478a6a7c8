"""The portal's colour: text is readable with any colour."""

import pytest

from app.web.pages.display.palette import DARK_PAPERS, LIGHT_PAPERS, contrast, palettes

COLOURS = ["#4a4fc4", "#000000", "#ffffff", "#ffff00", "#7f7f7f", "#ff0000", "#00ff88", "#0b1a5e"]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(("theme", "papers"), [("light", LIGHT_PAPERS), ("dark", DARK_PAPERS)])
def test_adjusted_colour_is_readable(colour, theme, papers):
    palette = palettes(colour)[theme]

    under = [*papers, palette["--accent-soft"]]
    assert min(contrast(palette["--accent-ink"], paper) for paper in under) >= 4.5
    assert contrast(palette["--button"], "#ffffff") >= 4.5
    assert contrast(palette["--button-strong"], "#ffffff") >= 4.5


def test_readable_colour_is_unchanged():
    assert palettes("#4a4fc4")["light"]["--button"] == "#4a4fc4"


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
