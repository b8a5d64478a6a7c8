"""Changing models while the server runs, in all of its processes."""
