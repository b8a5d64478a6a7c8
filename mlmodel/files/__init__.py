"""Model files: ``.flm`` packages, and bare files of frameworks."""
