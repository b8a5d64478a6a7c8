"""Models that misbehave, each kind in a file of its own."""
