"""LitServe with scikit-learn models: ``python litserve_app.py PORT WORKERS``."""

from __future__ import annotations

import sys

import litserve
from scoring import Scorer, descriptions


class ScorerAPI(litserve.LitAPI):
    """One model at its own path. An array of rows gets an array of predictions."""

    def __init__(self, name, description, **settings):
        super().__init__(api_path=f"/{name}/predict", **settings)
        self.description = description

    def setup(self, device):
        """Load the model in the worker."""
        self.scorer = Scorer(**self.description)

    def predict(self, body):
        """Predict a row, or an array of rows."""
        if isinstance(body, list):
            return self.scorer.predict(body)
        return self.scorer.predict([body])[0]


def serve(api, port, workers, **settings):
    """Run a server of all models, with this number of workers for each."""
    served = [api(name, description, **settings) for name, description in descriptions().items()]
    server = litserve.LitServer(served, accelerator="cpu", workers_per_device=workers)
    server.run(host="127.0.0.1", port=port, generate_client_file=False, access_log=False)


if __name__ == "__main__":
    serve(ScorerAPI, int(sys.argv[1]), int(sys.argv[2]))
