"""Access control, errors, JSON, headers and logs of every request and response."""
