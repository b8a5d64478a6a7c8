"""Commands that work with models and API keys without a server.

``groups`` and ``flask_commands`` import no command: help and completion are fast.
"""
