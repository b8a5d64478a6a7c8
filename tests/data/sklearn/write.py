"""Write small models and their predictions with the installed scikit-learn.

python write.py    # writes to a folder named after the release, next to this file
"""

import json
import pickle
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import KernelPCA
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, StackingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
)
from sklearn.multioutput import ClassifierChain, RegressorChain
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    OneHotEncoder,
    OrdinalEncoder,
    SplineTransformer,
    StandardScaler,
)
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.tree import DecisionTreeClassifier

CHANCE = np.random.RandomState(0)
COUNT = 40
FRAME = pd.DataFrame(
    {
        "age": CHANCE.randint(18, 80, COUNT).astype(float),
        "income": CHANCE.normal(50, 20, COUNT).round(1),
        "town": CHANCE.choice(["Bonn", "Oslo", "Rome"], COUNT),
    }
)
NUMBERS = FRAME[["age", "income"]]
LACKING = NUMBERS.mask(NUMBERS.index.to_numpy()[:, None] % 7 == [2, 9], np.nan)
WHOLE = (NUMBERS // 20).astype(int)
YES = np.where(FRAME["age"] + FRAME["income"] + CHANCE.normal(0, 20, COUNT) > 95, "yes", "no")
AGED = np.where(FRAME["age"] > 60, "old", np.where(FRAME["age"] > 35, "middle", "young"))
PRICE = FRAME["age"] * 2 + FRAME["income"]
BOTH = np.c_[YES == "yes", FRAME["age"] > 50].astype(int)
LABELLED = np.where(np.arange(COUNT) % 5 == 0, -1, YES == "yes")


def regression(**parameters):
    """Return a logistic regression, if this release has the parameters."""
    return LogisticRegression(max_iter=300, **parameters)


def encoded(encoder, model):
    """Return a pipeline that encodes the first column and passes on the others."""
    return make_pipeline(ColumnTransformer([("one", encoder, [0])], remainder="passthrough"), model)


MODELS = {
    "ada": (lambda: AdaBoostClassifier(n_estimators=4, random_state=0), NUMBERS, AGED),
    "boosting": (
        lambda: GradientBoostingClassifier(n_estimators=2, max_depth=2),
        NUMBERS,
        AGED,
    ),
    "centroid": (NearestCentroid, NUMBERS, YES),
    "chain": (lambda: ClassifierChain(regression(), order=[1, 0]), NUMBERS, BOTH),
    "imputer": (lambda: make_pipeline(SimpleImputer(strategy="median"), Ridge()), LACKING, PRICE),
    "kernel-pca": (lambda: make_pipeline(KernelPCA(1, kernel="rbf"), Ridge()), NUMBERS, PRICE),
    "max-abs": (lambda: make_pipeline(MaxAbsScaler(), Ridge()), NUMBERS, PRICE),
    "one-hot": (lambda: encoded(OneHotEncoder(), Ridge()), WHOLE, PRICE),
    "one-versus-rest": (lambda: regression(multi_class="ovr"), NUMBERS, AGED),
    "one-versus-rest-cv": (
        lambda: LogisticRegressionCV(Cs=2, cv=2, max_iter=300, multi_class="ovr"),
        NUMBERS,
        AGED,
    ),
    "one-versus-rest-liblinear": (lambda: regression(solver="liblinear"), NUMBERS, AGED),
    "ordinal": (lambda: make_pipeline(OrdinalEncoder(), regression()), FRAME[["town"]], YES),
    "partial": (PLSRegression, NUMBERS, PRICE),
    "price-chain": (lambda: RegressorChain(Ridge()), NUMBERS, np.c_[PRICE, -PRICE]),
    "ridge": (RidgeClassifier, NUMBERS, AGED),
    "ridge-cv": (RidgeClassifierCV, NUMBERS, YES),
    "self-training": (lambda: SelfTrainingClassifier(regression()), NUMBERS, LABELLED),
    "softmax-of-two": (
        lambda: make_pipeline(StandardScaler(), regression(multi_class="multinomial")),
        NUMBERS,
        YES,
    ),
    "spline": (lambda: make_pipeline(SplineTransformer(), Ridge()), NUMBERS, PRICE),
    "stack": (
        lambda: StackingClassifier(
            [("a", GaussianNB()), ("b", DecisionTreeClassifier(max_depth=2))], regression(), cv=2
        ),
        NUMBERS,
        YES,
    ),
    "tree": (lambda: DecisionTreeClassifier(max_depth=2), NUMBERS, AGED),
    "words": (lambda: make_pipeline(TfidfVectorizer(), regression()), "texts", YES),
}


def main():
    """Write the models that this release can make."""
    folder = Path(__file__).parent / sklearn.__version__
    folder.mkdir(exist_ok=True)
    written = {}
    for name, (make, columns, target) in MODELS.items():
        inputs = (FRAME["town"] + " town").tolist() if isinstance(columns, str) else columns
        try:
            model = make().fit(inputs, target)
        except (TypeError, ValueError) as error:
            print(f"{name}: {error}")  # noqa: T201
            continue
        some = inputs[::4]
        rows = (
            [{"text": text} for text in some]
            if isinstance(some, list)
            else some.astype(object).where(some.notna(), None).to_dict("records")
        )
        written[name] = {"rows": rows, "predict": np.asarray(model.predict(some)).tolist()}
        if hasattr(model, "predict_proba") and name != "chain":
            written[name]["probabilities"] = model.predict_proba(some).tolist()
        content = zlib.compress(pickle.dumps(model, protocol=4), 9)
        (folder / f"{name}.pkl.z").write_bytes(content)
    text = json.dumps(written, separators=(",", ":")).replace('},"', '},\n"')
    (folder / "predictions.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
