"""A plain Flask application that serves scikit-learn models."""

from __future__ import annotations

from flask import Flask, jsonify, request
from scoring import scorers

app = Flask(__name__)
models = scorers()


@app.post("/<name>/predict")
def predict(name):
    """Predict one row."""
    return jsonify(models[name].predict([request.get_json()])[0])


@app.post("/<name>/predict_many")
def predict_many(name):
    """Predict an array of rows."""
    return jsonify(models[name].predict(request.get_json()))
