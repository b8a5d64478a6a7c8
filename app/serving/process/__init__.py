"""State of one server process: metrics, memory, running calls."""
