"""JSON Schema: validation, coercion, messages and examples."""
