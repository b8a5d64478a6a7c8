"""Read large or hostile files, and run child processes, within limits."""
