"""A model that is a class: the species of an iris from four measures of its flower."""

from examples.iris.model import IrisModel

__all__ = ["IrisModel"]
