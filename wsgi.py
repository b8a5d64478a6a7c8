"""What gunicorn serves: ``gunicorn wsgi:app``."""

import os
import sys

from app import create_app
from app.serving.errors import InvalidCatalog
from config import InvalidSetting

try:
    app = create_app(os.environ)
except (InvalidSetting, InvalidCatalog) as error:
    sys.exit(f"Modelhost cannot start.\n{error}")
