"""A FastAPI application around scikit-learn models, a pydantic model for each one's rows.

The views are ``async``: the estimator keeps a worker busy either way, and the hop to a thread
that a plain ``def`` takes costs more than it gives.
"""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel, create_model
from scoring import scorers

KINDS = {"number": float, "number or null": float | None, "text": str}


class Answer(BaseModel):
    """What is answered for a row."""

    prediction: str
    probabilities: dict[str, float]


app = FastAPI()


def add(name, scorer):
    """Serve one model."""
    row = create_model(
        "Row", **{field: (KINDS[kind], ...) for field, kind in scorer.fields.items()}
    )

    async def predict(asked) -> Answer:
        return scorer.answers([asked.__dict__])[0]

    async def predict_many(asked) -> list[Answer]:
        return scorer.answers([each.__dict__ for each in asked])

    predict.__annotations__["asked"] = row
    predict_many.__annotations__["asked"] = list[row]
    app.post(f"/{name}/predict", response_model=Answer)(predict)
    app.post(f"/{name}/predict_many", response_model=list[Answer])(predict_many)


for each, loaded in scorers().items():
    add(each, loaded)
