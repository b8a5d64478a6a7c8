"""A form for a JSON Schema: the tree of fields that a page draws and a script reads.

This package derives all properties of a field from the schema: the template only renders, and the
script only reads and writes values. A value that no field can hold gets a text area for its JSON.
A form never rejects input: the server validates the row.
"""

from app.web.pages.forms.builder import build
from app.web.pages.forms.fields import Field
from app.web.pages.forms.sections import MANY, get_sections
from app.web.pages.forms.typical import get_typical_values

__all__ = ["MANY", "Field", "build", "get_sections", "get_typical_values"]
