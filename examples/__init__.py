"""Example models: a class of its own, and packaged files that ``train.py`` writes."""
