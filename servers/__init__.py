"""The servers: gunicorn and granian, their processes and signals."""
