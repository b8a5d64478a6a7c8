"""The hosted models, the manager, and the predictor."""
