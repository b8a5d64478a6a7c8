"""A Flama application with Flama's own resource for each model."""

from __future__ import annotations

import json
import os
from pathlib import Path

from flama import Flama

app = Flama()

for name, path in json.loads(Path(os.environ["BENCHMARK_MODELS"]).read_text()).items():
    app.models.add_model(f"/{name}/", model=path, name=name)
