"""The reference profile: what the data that a model was trained on look like."""
