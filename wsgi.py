"""The WSGI application ``wsgi:app``, for servers and for the ``flask`` command."""

import os

from app.cli import flask_commands
from app.serving.process import thread_pools

# No module imported above imports numpy, which reads these limits when first imported.
thread_pools.limit(os.environ)
if flask_commands.are_requested():
    app = flask_commands.create_app()
else:
    from servers import application

    app = application.app
