"""A FastAPI application around scikit-learn models, a pydantic model for each one's rows.

BENCHMARK_VIEWS says what the views are: ``async``, or a plain ``def``, which FastAPI calls in a
thread. The first saves the hop, with the second slow models block nobody.
"""

from __future__ import annotations

import os

from fastapi import FastAPI
from pydantic import BaseModel, create_model
from scoring import scorers

KINDS = {"number": float, "number or null": float | None, "text": str}


class Answer(BaseModel):
    """What is answered for a row."""

    prediction: str
    probabilities: dict[str, float]


app = FastAPI()


def view(answer, body):
    """Return a view of a function, with the type of its body."""

    def plain(asked):
        return answer(asked)

    async def waiting(asked):
        return answer(asked)

    chosen = waiting if os.environ["BENCHMARK_VIEWS"] == "async" else plain
    chosen.__annotations__["asked"] = body
    return chosen


def add(name, scorer):
    """Serve one model."""
    row = create_model(
        "Row", **{field: (KINDS[kind], ...) for field, kind in scorer.fields.items()}
    )

    def predict(asked):
        return scorer.answers([asked.__dict__])[0]

    def predict_many(asked):
        return scorer.answers([each.__dict__ for each in asked])

    app.post(f"/{name}/predict", response_model=Answer)(view(predict, row))
    app.post(f"/{name}/predict_many", response_model=list[Answer])(view(predict_many, list[row]))


for each, loaded in scorers().items():
    add(each, loaded)
