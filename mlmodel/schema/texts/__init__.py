"""What the text of a JSON string means: numbers, dates and times, formats and patterns."""
