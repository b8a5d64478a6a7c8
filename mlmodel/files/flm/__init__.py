"""The bytes of ``.flm`` files: containers, sections and artifacts. Builds no model."""
