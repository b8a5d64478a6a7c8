"""Facts about one process of a server."""
