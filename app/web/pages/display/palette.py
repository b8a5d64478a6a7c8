"""The portal's colour as a palette for light and dark pages, each readable where it is used.

Source of the contrast: WCAG 2.2, "relative luminance" and "contrast ratio".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Colour = tuple[float, float, float]

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
#: Backgrounds of text; ``--paper`` and ``--ground`` in static/site.css are the same.
LIGHT_PAPERS = ("#ffffff", "#f6f7fa")
DARK_PAPERS = ("#1b1e29", "#12141c")
#: Minimum contrast of a button's text: WCAG AA (4.5) plus a margin for rounding.
BUTTON_CONTRAST = 4.6
#: Minimum contrast of links and other small text.
TEXT_CONTRAST = 6.0
#: Minimum contrast of shapes, such as a bar.
SHAPE_CONTRAST = 3.0
#: Share by which one step moves a colour on the way to a readable one.
STEP = 0.02


def palettes(colour: str) -> Mapping[str, Mapping[str, str]]:
    """Return the palettes of a colour such as ``#4a4fc4``, by theme."""
    chosen = _parse(colour)
    button = _readable(chosen, BLACK, [WHITE], BUTTON_CONTRAST)
    light = [_parse(paper) for paper in LIGHT_PAPERS]
    dark = [_parse(paper) for paper in DARK_PAPERS]
    light_soft, dark_soft = _mix(chosen, WHITE, 0.89), _mix(chosen, dark[0], 0.78)
    return {
        "light": {
            "--button": _to_hex(button),
            "--button-strong": _to_hex(_mix(button, BLACK, 0.2)),
            "--accent": _to_hex(button),
            "--accent-soft": _to_hex(light_soft),
            "--accent-ink": _to_hex(_readable(chosen, BLACK, [*light, light_soft], TEXT_CONTRAST)),
        },
        "dark": {
            "--button": _to_hex(button),
            "--button-strong": _to_hex(_mix(button, BLACK, 0.2)),
            "--accent": _to_hex(_readable(chosen, WHITE, [*dark, dark_soft], SHAPE_CONTRAST)),
            "--accent-soft": _to_hex(dark_soft),
            "--accent-ink": _to_hex(_readable(chosen, WHITE, [*dark, dark_soft], TEXT_CONTRAST)),
        },
    }


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21."""
    return _contrast(_parse(one), _parse(other))


def _readable(colour: Colour, towards: Colour, on: Iterable[Colour], least: float) -> Colour:
    """Return the colour, moved towards another until its contrast to all backgrounds is enough."""
    grounds = list(on)
    share, moved = 0.0, colour
    while share < 1 and min(_contrast(moved, ground) for ground in grounds) < least:
        share += STEP
        moved = _mix(colour, towards, share)
    return moved


def _contrast(one: Colour, other: Colour) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (a + (b - a) * min(share, 1) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _parse(text: str) -> Colour:
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def _to_hex(colour: Colour) -> str:
    return "#" + bytes(round(part) for part in colour).hex()
