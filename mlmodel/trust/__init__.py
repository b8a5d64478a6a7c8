"""What a model file may contain, judged before anything in it is built.

A pickle is a program: it names classes and functions, and calls them. :mod:`.rules.names`
lists what a fitted model needs, :mod:`~mlmodel.trust.allowlist` decides on each name and each call,
:mod:`~mlmodel.trust.builder` builds by it, :mod:`~mlmodel.trust.scan` tells the names and builds
nothing, and :mod:`~mlmodel.trust.trial.first_look` tries a file in a process that may die of it.

Trust comes from whoever loads a file, and never from the file.
"""

from __future__ import annotations

from typing import Literal

#: Which classes and functions a file may have beside those that are known to do no harm.
Trust = Literal["all"] | tuple[str, ...]
