"""The application of a server; without a valid configuration, the process exits."""

import os
import sys

from gunicorn.arbiter import Arbiter

from app import create_app
from app.serving.errors import InvalidCatalog
from config import InvalidSetting
from servers import forking

try:
    app = create_app(os.environ, before_fork=forking.are_forked())
except (InvalidSetting, InvalidCatalog) as error:
    sys.stderr.write(f"Modelhost cannot start.\n{error}\n")
    # On this status, gunicorn stops instead of starting another worker.
    sys.exit(Arbiter.APP_LOAD_ERROR)
