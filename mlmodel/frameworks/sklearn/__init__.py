"""scikit-learn, and what has its interface."""
