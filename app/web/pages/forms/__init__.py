"""A form for a JSON Schema: the tree of fields that a page draws and a script reads.

Whatever follows from the schema is settled here, so that the template only shows, and the script
only reads and writes values. What no field can hold becomes a text area for its JSON. A form never
refuses what was typed: whether a row is right is for the server's own check to say.
"""

from app.web.pages.forms.drawing import MAX_POSTED, build
from app.web.pages.forms.fields import Field

__all__ = ["MAX_POSTED", "Field", "build"]
