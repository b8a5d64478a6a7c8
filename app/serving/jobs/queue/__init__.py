"""The queue of jobs: their table, and the chunks that processes claim."""
