"""Generator of synthetic support requests, the data of the tickets example.

Each request is a sentence of one team's concern, put together from parts, at
times with a greeting before it, a closing after it, or a slip of the keyboard in it.
"""

from __future__ import annotations

import random

#: What comes to which team: beginnings, and what they go on with.
CONCERNS = {
    "billing": (
        ("I was charged twice", "My invoice is wrong", "There is a fee that I do not know"),
        ("for order {order}", "on my last statement", "and I want a refund", "by card"),
    ),
    "delivery": (
        ("My parcel has not arrived", "The package is late", "The courier left my parcel outside"),
        ("since {day}", "though tracking says delivered", "for order {order}", "and it is damaged"),
    ),
    "technical": (
        ("I cannot log in", "The app crashes", "The page shows an error", "My password is refused"),
        ("when I open my orders", "since {day}", "on my phone", "after the last update"),
    ),
    "returns": (
        ("I want to send this back", "The size does not fit", "The colour is not as pictured"),
        ("and need a return label", "from order {order}", "can I exchange it", "within two weeks"),
    ),
}
DAYS = ("Monday", "Tuesday", "yesterday", "last week")
GREETINGS = ("", "", "Hello, ", "Good morning. ", "Hi there! ")
CLOSINGS = ("", "", " Please help.", " Thank you.", " This is urgent!")


def requests(count: int, seed: int = 7) -> tuple[list[str], list[str]]:
    """Return made-up requests, and for each the team that it goes to."""
    chosen = random.Random(seed)  # noqa: S311  synthetic text, no secret
    teams = [chosen.choice(list(CONCERNS)) for _ in range(count)]
    return [_request(chosen, team) for team in teams], teams


def _request(chosen: random.Random, team: str) -> str:
    beginning, rest = (chosen.choice(parts) for parts in CONCERNS[team])
    rest = rest.format(order=chosen.randint(1000, 9999), day=chosen.choice(DAYS))
    text = f"{chosen.choice(GREETINGS)}{beginning} {rest}.{chosen.choice(CLOSINGS)}"
    return _with_a_slip(chosen, text) if chosen.random() < 1 / 4 else text


def _with_a_slip(chosen: random.Random, text: str) -> str:
    at = chosen.randrange(1, len(text))
    return text[:at] + text[at + 1 :]
