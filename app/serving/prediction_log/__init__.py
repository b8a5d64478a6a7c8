"""The prediction log: rows, predictions and their truth, in one SQLite file per model and month."""
