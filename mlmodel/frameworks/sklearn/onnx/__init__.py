"""Compiled models: a graph that ONNX Runtime computes in place of scikit-learn, if it agrees.

    conversion      an estimator as a graph of two tensors, by skl2onnx
    converters      the project's converters for skl2onnx, in double precision
    tree_ensembles  trees in the form that they need
    feeds, session  rows to tensors, and arrays to predictions
    probes          rows on which graph and model might differ
    parity          the comparison of both
    selection       the choice between them

skl2onnx and ONNX Runtime are imported only when a graph is compiled or opened.
"""
