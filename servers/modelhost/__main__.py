"""The command ``modelhost``.

The wheel holds the application below ``modelhost/portal/``, because packages named ``app`` and
``config`` must not be in ``site-packages``. This module makes them importable.
"""

import os
import sys
from pathlib import Path

PORTAL = Path(__file__).parent / "portal"
#: Variables with the path of a file. Here, a relative path starts at the current folder.
FILES = ("MODELHOST_MODELS_FILE", "MODELHOST_KEYS_FILE", "MODELHOST_PORTAL_LOGO")


def main() -> None:
    """Run a command. Classes of models are imported from the current folder."""
    folder = Path.cwd()
    # The application first: the current folder may have an `app.py` or a `config.py`.
    sys.path[:0] = [str(PORTAL), str(folder)]
    os.environ.setdefault("MODELHOST_MODELS_FILE", "models.yaml")
    for variable in FILES:
        if os.environ.get(variable):
            os.environ[variable] = str(folder / os.environ[variable])
    from app.cli.groups import build_modelhost  # noqa: PLC0415
    from app.serving.process import thread_pools  # noqa: PLC0415

    thread_pools.limit(os.environ)
    build_modelhost()(prog_name="modelhost")


if __name__ == "__main__":
    main()
