"""The engine: holds models and answers predictions. It knows nothing of HTTP."""
