"""Hosted models, the manager that holds them, and the predictor."""
