"""Compares the speed of Modelhost with other servers: ``python -m benchmarks --help``."""
