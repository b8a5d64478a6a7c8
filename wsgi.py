"""What a server serves, ``wsgi:app``, and where ``flask`` finds the commands."""

import os
import sys

from gunicorn.arbiter import Arbiter

from app import cli, create_app
from app.serving.errors import InvalidCatalog
from config import InvalidSetting
from servers import forking

# No module above imports numpy: that a model does, or whoever is first to read one.
forking.limit_threads(os.environ)
try:
    app = create_app(
        os.environ,
        with_models=not cli.is_looking_for_commands(),
        before_fork=forking.are_forked(),
    )
except (InvalidSetting, InvalidCatalog) as error:
    sys.stderr.write(f"Modelhost cannot start.\n{error}\n")
    # By this status gunicorn knows that another worker would not start either.
    sys.exit(Arbiter.APP_LOAD_ERROR)
