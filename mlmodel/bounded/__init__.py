"""Read large or hostile files within limits."""
