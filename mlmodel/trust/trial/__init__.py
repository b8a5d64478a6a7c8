"""Try to build a pickle in another process, which may crash."""
