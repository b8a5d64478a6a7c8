"""``models.yaml``: its entries, and the models that they create."""
