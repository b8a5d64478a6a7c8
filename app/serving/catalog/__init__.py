"""``models.yaml``: the entries, and what each of them makes."""
