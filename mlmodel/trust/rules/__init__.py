"""What a pickle may name, call and set."""
