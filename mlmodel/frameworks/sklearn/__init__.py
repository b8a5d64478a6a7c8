"""scikit-learn, and libraries with its interface."""
