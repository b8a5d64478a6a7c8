"""Changes of the models in all processes of a running server."""
