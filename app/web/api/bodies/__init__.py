"""Read request bodies of every accepted layout as rows."""
