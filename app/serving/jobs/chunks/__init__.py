"""Chunks of jobs: reading a file in chunks, and predicting the rows of one."""
