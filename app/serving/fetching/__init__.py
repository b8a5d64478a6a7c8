"""Model files at other places: fetched into a cache, within limits, and kept up to date."""
