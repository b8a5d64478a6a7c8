"""The engine: hosts models and computes predictions, independently of HTTP."""
