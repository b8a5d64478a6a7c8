"""Models in sandboxed processes: one of their own, or one that unpinned models share."""
