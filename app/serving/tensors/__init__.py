"""Conversion between rows and the tensors of the Open Inference Protocol, version 2."""
