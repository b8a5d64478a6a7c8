"""Model folders that MLflow wrote, read without the package ``mlflow``."""
