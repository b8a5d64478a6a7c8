"""LitServe with its batching: ``python litserve_batch_app.py PORT WORKERS``."""

from __future__ import annotations

import sys

from litserve_app import ScorerAPI, serve


class BatchAPI(ScorerAPI):
    """One model. Rows of waiting callers are predicted in one call."""

    def decode_request(self, request):
        """Return a list of rows."""
        return request if isinstance(request, list) else [request]

    def batch(self, inputs):
        """Return the inputs unchanged: predict needs the rows of each caller."""
        return inputs

    def predict(self, batches):
        """Predict the rows of several callers in one call of the estimator."""
        predictions = iter(self.scorer.predict([row for rows in batches for row in rows]))
        return [[next(predictions) for _ in rows] for rows in batches]

    def unbatch(self, output):
        """Return the outputs unchanged: predict has separated them by caller."""
        return output

    def encode_response(self, output):
        """Return an object for one row: the clients never send an array of one row."""
        return output[0] if len(output) == 1 else output


if __name__ == "__main__":
    serve(BatchAPI, int(sys.argv[1]), int(sys.argv[2]), max_batch_size=16, batch_timeout=0.005)
