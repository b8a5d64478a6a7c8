"""How fast Modelhost answers beside others: ``python -m benchmarks --help``."""
