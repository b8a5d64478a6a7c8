"""The WSGI application ``wsgi:app``, for servers and for the ``flask`` command."""

import os
import sys

from gunicorn.arbiter import Arbiter

from app import cli, create_app
from app.serving.errors import InvalidCatalog
from config import InvalidSetting
from servers import forking

# No module imported above imports numpy, which reads these limits when first imported.
forking.limit_threads(os.environ)
try:
    app = create_app(
        os.environ,
        with_models=not cli.is_looking_for_commands(),
        before_fork=forking.are_forked(),
    )
except (InvalidSetting, InvalidCatalog) as error:
    sys.stderr.write(f"Modelhost cannot start.\n{error}\n")
    # On this status, gunicorn stops instead of starting another worker.
    sys.exit(Arbiter.APP_LOAD_ERROR)
