"""Support for classes written for ``ml_base`` and ``ml_model_abc``."""
