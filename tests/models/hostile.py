"""Models whose schemas come from an attacker."""

from mlmodel import MLModel, endpoint


class Told(MLModel):
    """Has the schemas that it is given."""

    qualified_name = "told"

    def __init__(self, input_schema=None, output_schema=None):
        self.input_schema = input_schema
        self.output_schema = output_schema

    def predict(self, row):
        return row


class Asked(MLModel):
    """Has an endpoint with query parameters."""

    qualified_name = "asked"
    input_schema = {"type": "object"}

    def predict(self, row):
        return row

    @endpoint(
        "about",
        methods=["GET", "POST"],
        input_schema={"properties": {"q": {"type": ["string", "number"]}}},
    )
    def about(self, row):
        """Say what was asked."""
        return row


def referring(reference, keyword="$ref"):
    """Return a class whose endpoint's parameters refer to something."""

    class Referring(Asked):
        @endpoint("more", input_schema={"properties": {"q": {keyword: reference}}})
        def more(self, row):
            return row

    return Referring
