"""Compiling: graphs for the models of a running server, which serve natively meanwhile."""
