"""Serving with gunicorn and granian: processes and signals."""
