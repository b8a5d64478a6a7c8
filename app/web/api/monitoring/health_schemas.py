"""marshmallow schemas of the health of a model."""

from __future__ import annotations

from marshmallow import fields

from app.web.api.schemas import Body, doc, text


class TrafficHour(Body):
    """The calls of a model in one hour."""

    start = fields.DateTime(format="iso", **doc("The start of the hour in UTC."))
    calls = fields.Integer(**doc("Calls of all endpoints, including failed and rejected ones."))
    errors = fields.Integer(**doc("Calls that failed or were rejected."))
    outcomes = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        **doc("The number of calls by outcome: `ok`, or the class of the error."),
    )
    median_seconds = fields.Float(
        allow_none=True, **doc("Half of the calls took at most this long, approximately.")
    )
    p95_seconds = fields.Float(allow_none=True, **doc("The same for 95 % of the calls."))


class ReferenceSchema(Body):
    """The reference profile of a model."""

    source = text("The model's file, or its prediction log.", enum=["file", "log"])
    rows = fields.Integer(attribute="profile.rows", **doc("The rows of the profile."))


class DriftChart(Body):
    """The share of rows in each bin, among those with a value."""

    labels = fields.List(fields.String(), **doc("The choices; empty for numbers."))
    edges = fields.List(fields.Float(), **doc("The edges of the bins; empty for choices."))
    reference = fields.List(fields.Float(), **doc("The shares in the reference."))
    current = fields.List(fields.Float(), **doc("The shares in the period."))


class FieldDriftSchema(Body):
    """The drift of one field."""

    name = text("The member of the row or of the prediction.")
    prediction = fields.Boolean(
        attribute="is_prediction", **doc("Whether it is a member of the prediction.")
    )
    psi = fields.Float(**doc("The population stability index."))
    threshold = fields.Float(**doc("The index that random differences exceed in 1 of 100 reports."))
    level = text(
        "`small` is more than chance; drift is `moderate` from an index of 0.1, `large` from 0.25.",
        enum=["none", "small", "moderate", "large"],
    )
    reference_missing = fields.Float(
        attribute="reference.missing", **doc("The share of missing values in the reference.")
    )
    missing = fields.Float(
        attribute="current.missing", **doc("The share of missing values in the period.")
    )
    outside = fields.Float(
        attribute="current.outside_share",
        **doc("The share of numbers outside the range of the reference."),
    )
    unlisted = fields.Dict(
        attribute="current.unlisted",
        keys=fields.String(),
        values=fields.Integer(),
        **doc("The most frequent choices that the reference does not list, with their rows."),
    )
    chart = fields.Nested(DriftChart, allow_none=True)


class Drift(Body):
    """The difference between logged predictions and the reference profile."""

    state = text(
        "Whether rows were compared, or why not.",
        enum=["compared", "not-logged", "no-reference", "too-few-rows", "unreadable"],
    )
    days = fields.Integer(**doc("The period, which ends now."))
    rows = fields.Integer(
        **doc("Logged rows in the period; in all periods if there is no reference.")
    )
    missing_rows = fields.Integer(**doc("How many more rows are needed."))
    compared_rows = fields.Integer(**doc("Rows that were compared, spread over the period."))
    first = fields.DateTime(format="iso", allow_none=True, **doc("The time of the first of them."))
    last = fields.DateTime(format="iso", allow_none=True, **doc("The time of the last of them."))
    reference = fields.Nested(ReferenceSchema, allow_none=True)
    fields_ = fields.List(
        fields.Nested(FieldDriftSchema),
        data_key="fields",
        attribute="fields",
        **doc("The fields of rows and predictions, the largest drift first."),
    )


class ModelHealth(Body):
    """The use of a model."""

    status = text("As in the list of models.")
    reason = fields.String(allow_none=True, **doc("Why the model failed."))
    traffic = fields.List(
        fields.Nested(TrafficHour),
        **doc("The hours with calls since the server started, at most those of the last week."),
    )
    drift = fields.Nested(Drift)
