"""Building a pickle first in a process that may end by it."""
