"""The faces of the engine: REST, pages and operations, over HTTP."""
