"""Schemas that authors declare: JSON Schemas, or classes of pydantic, dataclasses, ``schema``."""
