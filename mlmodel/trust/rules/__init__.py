"""Rules for the names, calls and states in a pickle."""
