"""LitServe with its batching: ``python litserve_batch_app.py PORT WORKERS``."""

from __future__ import annotations

import sys

from litserve_app import ScorerAPI, serve


class BatchAPI(ScorerAPI):
    """One model; the rows of callers who wait are asked together."""

    def decode_request(self, request):
        """Take a row, or an array of rows, as rows."""
        return request if isinstance(request, list) else [request]

    def batch(self, inputs):
        """Leave it to predict, which must know whose rows are whose."""
        return inputs

    def predict(self, asked):
        """Answer several callers' rows by one call of the estimator."""
        answers = iter(self.scorer.answers([row for rows in asked for row in rows]))
        return [[next(answers) for _ in rows] for rows in asked]

    def unbatch(self, output):
        """Give each caller what is its own."""
        return output

    def encode_response(self, output):
        """Answer a row by an object; clients of this benchmark never send an array of one."""
        return output[0] if len(output) == 1 else output


if __name__ == "__main__":
    serve(BatchAPI, int(sys.argv[1]), int(sys.argv[2]), max_batch_size=16, batch_timeout=0.005)
