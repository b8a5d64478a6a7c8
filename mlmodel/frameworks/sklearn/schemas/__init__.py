"""What schemas are inferred from: a fitted estimator and a sample.

    column         the input columns of a model, and their JSON Schemas
    tracing        these columns, followed through all parts of the estimator
    estimators     what each estimator stores about a column; booster_columns for boosters
    dtypes         column types of pandas, and their values in JSON
    sample         what a sample shows of a column
    merge          both combined, and where they disagree
    probe          what the model accepts, found by calling it
    output_schema  the schema of its predictions

The module :mod:`mlmodel.frameworks.sklearn.inference` uses them.
"""
