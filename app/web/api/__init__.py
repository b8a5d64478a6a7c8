"""The HTTP API.

The part of a view's docstring below ``---`` is its operation in the OpenAPI document, which adds
the tag, parameters and errors that follow from the view's route.
"""
