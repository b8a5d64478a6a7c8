"""The commands, one or a few in each module; ``app.cli.groups`` lists them."""
