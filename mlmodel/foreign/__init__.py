"""Classes written for ``ml_base`` and ``ml_model_abc``."""
