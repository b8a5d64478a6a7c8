"""Models on this server and on another one."""

import pytest

from tests.running_server import serving_remotely


@pytest.fixture(scope="module", params=["local", "remote"])
def models(request, tmp_path_factory):
    """The ``MODELS`` of a module, and its ``NAMES`` as entries of another server."""
    if request.param == "local":
        yield request.module.MODELS
        return
    folder, module = tmp_path_factory.mktemp("remote"), request.module
    with serving_remotely(folder, module.MODELS, module.NAMES) as models:
        yield models
