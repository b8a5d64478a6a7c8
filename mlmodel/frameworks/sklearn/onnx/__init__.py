"""Estimators compiled to ONNX graphs."""
