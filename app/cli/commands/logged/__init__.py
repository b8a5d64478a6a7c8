"""Commands for the predictions that the server has logged."""
