"""Read a dashboard with the classes that Grafana generates from its schema, and write it again."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

register_default_plugins()
dashboard = Dashboard.from_json(json.loads(sys.argv[1]))
sys.stdout.write(JSONEncoder(sort_keys=True).encode(dashboard))
