"""Models that misbehave, one module for each kind."""
