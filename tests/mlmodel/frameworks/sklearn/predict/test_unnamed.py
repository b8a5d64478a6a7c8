import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor, VotingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mlmodel.frameworks.sklearn.predict.unnamed import without_names

TABLE = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [2.0, 1.0, 3.0]})
TARGET = [1.0, 2.0, 3.0]


class Own(Ridge):
    """A third-party class, whose use of names is unknown."""


@pytest.mark.parametrize(
    "model",
    [Ridge(), RandomForestRegressor(3), make_pipeline(StandardScaler(), "passthrough", Ridge())],
    ids=["estimator", "forest", "pipeline"],
)
def test_array_and_frame_predictions_are_equal(model):
    model.fit(TABLE, TARGET)

    bare = without_names(model)

    assert np.array_equal(bare.predict(TABLE.to_numpy()), model.predict(TABLE))
    assert list(model.feature_names_in_) == ["a", "b"]


@pytest.mark.parametrize(
    "model",
    [
        Own(),
        make_pipeline(make_column_transformer((StandardScaler(), ["b"])), Ridge()),
        make_pipeline(FunctionTransformer(lambda table: table[["b"]]), Ridge()),
        make_pipeline(StandardScaler().set_output(transform="pandas"), Ridge()),
        VotingRegressor([("one", Ridge())]),
    ],
    ids=["own class", "columns", "function", "frames within", "models within"],
)
def test_significant_names_are_kept(model):
    assert without_names(model.fit(TABLE, TARGET)) is None
