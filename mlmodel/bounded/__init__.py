"""Reading what may be large or hostile, within limits."""
