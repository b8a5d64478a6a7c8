"""Health of models in use: traffic, drift from the reference profile, and metrics on the truth."""
