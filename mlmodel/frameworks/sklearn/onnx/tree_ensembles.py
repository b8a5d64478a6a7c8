"""Fitted trees as the attributes of one ``TreeEnsemble``, in double precision.

Source: ONNX, operators of ai.onnx.ml, TreeEnsemble-5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

_SUM, _NONE, _LEQ = 1, 0, 0


class Trees:
    """Trees whose leaf values are summed for each target.

    The sums follow the order in which the trees were added.
    """

    def __init__(self, targets: int) -> None:
        self.targets = targets
        self._nodes: list[dict[str, NDArray[Any]]] = []
        self._leaves: list[NDArray[Any]] = []
        self._of_target: list[int] = []
        self._count = self._leaf_count = 0

    def add(self, tree: Any, values: NDArray[Any], target: int) -> None:
        """Add a tree of scikit-learn's. ``values`` has one value per node; only leaves are used."""
        self._append(
            features=tree.feature,
            splits=tree.threshold,
            left=tree.children_left,
            right=tree.children_right,
            is_leaf=tree.children_left == -1,
            missing_left=tree.missing_go_to_left,
            values=values,
            target=target,
        )

    def add_histogram(self, nodes: NDArray[Any], target: int) -> None:
        """Add a tree of a ``HistGradientBoosting`` estimator."""
        self._append(
            features=nodes["feature_idx"],
            splits=nodes["num_threshold"],
            left=nodes["left"],
            right=nodes["right"],
            is_leaf=nodes["is_leaf"].astype(bool),
            missing_left=nodes["missing_go_to_left"],
            values=nodes["value"],
            target=target,
        )

    def attributes(self) -> dict[str, Any]:
        """Return the operator's attributes."""
        names = self._nodes[0]
        whole = {name: np.concatenate([each[name] for each in self._nodes]) for name in names}
        counts = [len(each["splits"]) for each in self._nodes]
        splits = whole.pop("splits").astype(np.float64)
        leaves = np.concatenate(self._leaves).astype(np.float64)
        targets = np.repeat(self._of_target, [len(each) for each in self._leaves])
        return {
            "aggregate_function": _SUM,
            "post_transform": _NONE,
            "n_targets": self.targets,
            "nodes_splits": numpy_helper.from_array(splits),
            "nodes_modes": numpy_helper.from_array(np.full(len(splits), _LEQ, dtype=np.uint8)),
            "leaf_weights": numpy_helper.from_array(leaves),
            "leaf_targetids": targets.tolist(),
            "tree_roots": np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(int).tolist(),
            **{name: values.astype(np.int64).tolist() for name, values in whole.items()},
        }

    def _append(
        self,
        *,
        features: NDArray[Any],
        splits: NDArray[Any],
        left: NDArray[Any],
        right: NDArray[Any],
        is_leaf: NDArray[Any],
        missing_left: NDArray[Any],
        values: NDArray[Any],
        target: int,
    ) -> None:
        if is_leaf[0]:
            # The operator requires a split: add one whose sides are the same leaf.
            zero, one = np.zeros(1), np.ones(1)
            features, splits, missing_left = zero, zero, zero
            inner, true, false = np.array([True]), zero, zero
            true_leaf = false_leaf = one
        else:
            inner = ~is_leaf
            places = np.where(is_leaf, np.cumsum(is_leaf), np.cumsum(inner)) - 1
            places += np.where(is_leaf, 0, self._count)
            left, right = left[inner].astype(int), right[inner].astype(int)
            true, false = places[left], places[right]
            true_leaf, false_leaf = is_leaf[left], is_leaf[right]
            features, splits, missing_left = features[inner], splits[inner], missing_left[inner]
        self._nodes.append(
            {
                "nodes_featureids": features,
                "splits": splits,
                "nodes_truenodeids": true + np.where(true_leaf, self._leaf_count, 0),
                "nodes_falsenodeids": false + np.where(false_leaf, self._leaf_count, 0),
                "nodes_trueleafs": true_leaf,
                "nodes_falseleafs": false_leaf,
                "nodes_missing_value_tracks_true": missing_left,
            }
        )
        self._leaves.append(values[is_leaf])
        self._of_target.append(target)
        self._count += len(splits)
        self._leaf_count += int(is_leaf.sum())
