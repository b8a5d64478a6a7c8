"""From rows to the estimator, and from its output to predictions."""
