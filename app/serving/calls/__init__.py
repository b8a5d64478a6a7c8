"""Calls of a model: queue, batch, executor, time limit."""
