"""Schemas inferred from a fitted estimator and a sample."""
