"""REST routes for the health of models in use."""
