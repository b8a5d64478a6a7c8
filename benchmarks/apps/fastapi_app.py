"""A FastAPI application that serves scikit-learn models, with pydantic models for their rows.

BENCHMARK_VIEWS selects ``async`` views, or plain ``def`` views, which FastAPI calls in a thread.
The first avoids the thread; with the second, slow models do not block other requests.
"""

from __future__ import annotations

import os

from fastapi import FastAPI
from pydantic import BaseModel, create_model
from scoring import scorers

KINDS = {"number": float, "number or null": float | None, "text": str}


class Prediction(BaseModel):
    """A prediction for a row."""

    prediction: str
    probabilities: dict[str, float]


app = FastAPI()


def view(predict, body):
    """Return a view that calls a function with a body of this type."""

    def plain(rows):
        return predict(rows)

    async def waiting(rows):
        return predict(rows)

    chosen = waiting if os.environ["BENCHMARK_VIEWS"] == "async" else plain
    chosen.__annotations__["rows"] = body
    return chosen


def add(name, scorer):
    """Serve one model."""
    row = create_model(
        "Row", **{field: (KINDS[kind], ...) for field, kind in scorer.fields.items()}
    )

    def predict(row):
        return scorer.predict([row.__dict__])[0]

    def predict_many(rows):
        return scorer.predict([each.__dict__ for each in rows])

    app.post(f"/{name}/predict", response_model=Prediction)(view(predict, row))
    app.post(f"/{name}/predict_many", response_model=list[Prediction])(
        view(predict_many, list[row])
    )


for each, loaded in scorers().items():
    add(each, loaded)
