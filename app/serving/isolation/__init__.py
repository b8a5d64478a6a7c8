"""A model in a sandboxed process of its own."""
