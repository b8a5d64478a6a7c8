"""Decide what a model file may contain before anything in it is built.

A pickle is a program: it names classes and functions, and calls them. :mod:`.rules.names` lists
what a fitted model needs, :mod:`~mlmodel.trust.allowlist` checks each name,
:mod:`~mlmodel.trust.builder` unpickles under these rules, :mod:`~mlmodel.trust.scan` lists the
names without building anything, and :mod:`~mlmodel.trust.trial.trial_build` tries a file in a
process that may crash. :mod:`~mlmodel.trust.contents` applies them to each kind of file.

Trust is granted by the operator who loads a file, never by the file itself.
"""

from __future__ import annotations

from typing import Literal

#: Names that a file may reference in addition to the allow-list.
Trust = Literal["all"] | tuple[str, ...]
