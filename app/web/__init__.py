"""The HTTP interfaces of the engine: REST API, pages and operations."""
