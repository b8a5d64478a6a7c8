"""The names that the pickle of a fitted model may reference, as data.

All other names are rejected. A name is listed if real models need it and it is harmless: it
imports, reads, writes, evaluates and calls nothing for a file, neither when it is built nor when it
receives rows of clients. ``scipy.stats`` is not listed: its distributions ``exec`` a string of
their state.
"""

from __future__ import annotations

from collections.abc import Mapping


def full_names(lists: Mapping[str, str]) -> frozenset[str]:
    """Return full names, given the names of each module separated by spaces."""
    return frozenset(f"{module}.{name}" for module in lists for name in lists[module].split())


#: Packages whose estimator classes may be instantiated, and the modules that may be imported for
#: it, with their submodules.
_MODULES: Mapping[str, str] = {
    "sklearn": "calibration cluster compose covariance cross_decomposition decomposition "
    "discriminant_analysis dummy ensemble feature_extraction feature_selection frozen "
    "gaussian_process impute isotonic kernel_approximation kernel_ridge linear_model "
    "manifold mixture model_selection multiclass multioutput naive_bayes neighbors "
    "neural_network pipeline preprocessing random_projection semi_supervised svm tree",
    "imblearn": "base combine ensemble metrics over_sampling pipeline under_sampling",
    # The packages below were reviewed release by release: their estimators call no methods, open no
    # files and run no code named in their state. Left out are skrub's data operations, which
    # evaluate expressions, its joiners and its language-model encoder, which loads files;
    # category_encoders' hashing, which starts processes and looks its function up by name;
    # feature_engine's windows over time and sksurv's metrics, which call methods by name.
    "category_encoders": "backward_difference basen binary cat_boost count count_target glmm gray "
    "helmert james_stein leave_one_out m_estimate multi_hot one_hot ordinal polynomial "
    "quantile_encoder rankhot sum_coding target_encoder woe wrapper",
    "feature_engine": "creation datetime discretisation encoding imputation outliers pipeline "
    "preprocessing scaling selection text transformation wrappers",
    "mapie": "classification estimator regression",
    "skrub": "_apply_to_cols _apply_to_each_col _apply_to_sub_frame _cat_encoder _check_input "
    "_clean_categories _clean_null_strings _datetime_encoder _drop_similar "
    "_drop_uninformative _duration_to_float _gap_encoder _minhash_encoder _on_each_column "
    "_on_subframe _select_cols _similarity_encoder _squashing_scaler _string_encoder "
    "_table_vectorizer _to_categorical _to_datetime _to_float _to_str _utils",
    "sksurv": "ensemble linear_model meta preprocessing svm tree",
    "xgboost": "sklearn",
    "lightgbm": "sklearn",
    "catboost": "core",
}
#: The base classes of estimators that do not derive from scikit-learn's.
_BASES: Mapping[str, str] = {
    "xgboost": "xgboost.sklearn.XGBModel",
    "lightgbm": "lightgbm.sklearn.LGBMModel",
    "catboost": "catboost.core.CatBoost",
}
ESTIMATORS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    library: (
        _BASES.get(library, "sklearn.base.BaseEstimator"),
        tuple(f"{library}.{name}" for name in names.split()),
    )
    for library, names in _MODULES.items()
}

#: Classes other than estimators that are created without arguments and receive a state.
CLASSES = full_names(
    {
        "lightgbm.basic": "Booster",
        "pandas": "CategoricalDtype DataFrame DatetimeTZDtype Series Int8Dtype Int16Dtype "
        "Int32Dtype Int64Dtype UInt8Dtype UInt16Dtype UInt32Dtype UInt64Dtype Float32Dtype "
        "Float64Dtype BooleanDtype",
        "pandas.arrays": "ArrowStringArray BooleanArray FloatingArray IntegerArray",
        "pandas.core.arrays.boolean": "BooleanArray",
        "pandas.core.arrays.floating": "FloatingArray",
        "pandas.core.arrays.integer": "IntegerArray",
        "pandas.core.arrays.string_arrow": "ArrowStringArray",
        "pandas.core.dtypes.dtypes": "CategoricalDtype DatetimeTZDtype",
        "pandas.core.frame": "DataFrame",
        "pandas.core.internals.managers": "SingleBlockManager",
        "pandas.core.series": "Series",
        "scipy.interpolate._bsplines": "BSpline",
        "scipy.sparse._bsr": "bsr_array bsr_matrix",
        "scipy.sparse._coo": "coo_array coo_matrix",
        "scipy.sparse._csc": "csc_array csc_matrix",
        "scipy.sparse._csr": "csr_array csr_matrix",
        "sklearn._loss.link": "HalfLogitLink IdentityLink Interval LogLink LogitLink "
        "MultinomialLogit",
        "sklearn._loss.loss": "AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss "
        "HalfMultinomialLoss HalfPoissonLoss HalfSquaredError HalfTweedieLoss "
        "HalfTweedieLossIdentity HuberLoss PinballLoss",
        "sklearn.calibration": "_CalibratedClassifier",
        "sklearn.cluster._birch": "_CFNode _CFSubcluster",
        "sklearn.cluster._bisect_k_means": "_BisectingTree",
        "sklearn.compose._column_transformer": "make_column_selector",
        "sklearn.ensemble._hist_gradient_boosting.predictor": "TreePredictor",
        "sklearn.impute._iterative": "_ImputerTriplet",
        "sklearn.gaussian_process.kernels": "CompoundKernel ConstantKernel DotProduct "
        "ExpSineSquared Exponentiation Hyperparameter Matern PairwiseKernel Product RBF "
        "RationalQuadratic Sum WhiteKernel",
        "sklearn.linear_model._linear_loss": "LinearModelLoss",
        "sklearn.metrics._scorer": "_CurveScorer _MultimetricScorer _PassthroughScorer _Scorer",
        "sklearn.model_selection._split": "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut "
        "LeaveOneOut LeavePGroupsOut LeavePOut PredefinedSplit RepeatedKFold "
        "RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold StratifiedKFold "
        "StratifiedShuffleSplit TimeSeriesSplit _CVIterableWrapper",
        "sklearn.neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
        "sklearn.utils._bunch": "Bunch",
        "sklearn.utils._metadata_requests": "MetadataRequest MethodMetadataRequest",
        "skrub._table_vectorizer": "ShortReprDict",
        "skrub._utils": "LRUDict",
        "skrub.selectors._base": "All And Cols Filter Inv NameFilter Or Sub XOr",
        "mapie.classification": "CrossConformalClassifier SplitConformalClassifier",
        "mapie.conformity_scores.bounds.absolute": "AbsoluteConformityScore",
        "mapie.conformity_scores.bounds.gamma": "GammaConformityScore",
        "mapie.conformity_scores.bounds.residuals": "ResidualNormalisedScore",
        "mapie.conformity_scores.sets.aps": "APSConformityScore",
        "mapie.conformity_scores.sets.lac": "LACConformityScore",
        "mapie.conformity_scores.sets.naive": "NaiveConformityScore",
        "mapie.conformity_scores.sets.raps": "RAPSConformityScore",
        "mapie.conformity_scores.sets.topk": "TopKConformityScore",
        "mapie.regression.quantile_regression": "ConformalizedQuantileRegressor",
        "mapie.regression.regression": "CrossConformalRegressor "
        "JackknifeAfterBootstrapRegressor SplitConformalRegressor",
        "mapie.estimator.classifier": "EnsembleClassifier",
        "mapie.estimator.regressor": "EnsembleRegressor",
        "sksurv.ensemble.survival_loss": "CensoredSquaredLoss CoxPH IPCWLeastSquaresError",
        "sksurv.functions": "StepFunction",
        "sksurv.linear_model.coxph": "BreslowEstimator",
        "xgboost.callback": "EarlyStopping EvaluationMonitor",
        "xgboost.core": "Booster",
    }
)

#: Those of them that are tuples, with the number of their items.
NAMED_TUPLES: Mapping[str, int] = {"sklearn.impute._iterative._ImputerTriplet": 3}

#: Functions that a model may keep and call later, also as a step of a pipeline: with rows of
#: clients, and with any keywords. They map arrays to arrays.
STEPS = full_names(
    {
        "numpy": "abs around array asarray ascontiguousarray clip cumprod cumsum diff expand_dims "
        "fix gradient nan_to_num ravel real reshape round transpose zeros_like",
        "scipy._lib.array_api_compat.numpy._aliases": "asarray",
        "sklearn.preprocessing._data": "binarize maxabs_scale minmax_scale normalize "
        "robust_scale scale",
        "sklearn.utils.validation": "check_array",
    }
)

#: Functions that a model may call elsewhere. They may reduce arrays to one value.
FUNCTIONS = STEPS | full_names(
    {
        "numpy": "average column_stack concatenate hstack max mean median min nanmax nanmean "
        "nanmedian nanmin nanstd nansum nanvar prod ptp squeeze std sum var vstack where",
        "numpy.linalg": "norm",
        "sklearn.cluster._kmeans": "_kmeans_single_elkan _kmeans_single_lloyd",
        "sklearn.feature_selection._mutual_info": "mutual_info_classif mutual_info_regression",
        "sklearn.feature_selection._univariate_selection": "chi2 f_classif f_oneway f_regression "
        "r_regression",
        "sklearn.metrics._classification": "accuracy_score balanced_accuracy_score "
        "brier_score_loss cohen_kappa_score f1_score fbeta_score hamming_loss hinge_loss "
        "jaccard_score log_loss matthews_corrcoef precision_score recall_score zero_one_loss",
        "sklearn.metrics._ranking": "average_precision_score coverage_error dcg_score "
        "label_ranking_average_precision_score label_ranking_loss ndcg_score roc_auc_score "
        "top_k_accuracy_score",
        "sklearn.metrics._regression": "d2_absolute_error_score d2_pinball_score "
        "d2_tweedie_score explained_variance_score max_error mean_absolute_error "
        "mean_absolute_percentage_error mean_gamma_deviance mean_pinball_loss "
        "mean_poisson_deviance mean_squared_error mean_squared_log_error mean_tweedie_deviance "
        "median_absolute_error r2_score root_mean_squared_error root_mean_squared_log_error",
        "sklearn.metrics.cluster._supervised": "adjusted_mutual_info_score adjusted_rand_score "
        "completeness_score fowlkes_mallows_score homogeneity_score mutual_info_score "
        "normalized_mutual_info_score rand_score v_measure_score",
        "sklearn.metrics.cluster._unsupervised": "calinski_harabasz_score davies_bouldin_score "
        "silhouette_score",
        "sklearn.metrics.pairwise": "additive_chi2_kernel chi2_kernel cosine_distances "
        "cosine_similarity euclidean_distances haversine_distances laplacian_kernel "
        "linear_kernel manhattan_distances nan_euclidean_distances polynomial_kernel rbf_kernel "
        "sigmoid_kernel",
        "skrub._dataframe._common": "is_any_date is_bool is_categorical is_float is_integer "
        "is_numeric is_object is_string",
        "skrub._table_vectorizer": "_created_by_predicate",
        "skrub.selectors._selectors": "_cardinality_below _has_dtype _has_nulls _null_count_check",
        "xgboost.collective": "communicator_print",
    }
)

#: numpy's and scipy's functions that only compute with their arguments.
_COMPUTING = (
    "abs absolute acos acosh add arccos arccosh arcsin arcsinh arctan arctan2 "
    "arctanh asin asinh atan atan2 atanh bitwise_and bitwise_count "
    "bitwise_invert bitwise_left_shift bitwise_not bitwise_or "
    "bitwise_right_shift bitwise_xor cbrt ceil conj conjugate copysign cos cosh "
    "deg2rad degrees divide divmod equal exp exp2 expm1 fabs float_power floor "
    "floor_divide fmax fmin fmod frexp gcd greater greater_equal heaviside "
    "hypot invert isfinite isinf isnan isnat lcm ldexp left_shift less "
    "less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and "
    "logical_not logical_or logical_xor matmul matvec maximum minimum mod modf "
    "multiply negative nextafter not_equal positive pow power rad2deg radians "
    "reciprocal remainder right_shift rint sign signbit sin sinh spacing sqrt "
    "square subtract tan tanh true_divide trunc vecdot vecmat"
)
_SPECIAL = (
    "boxcox boxcox1p cbrt erf erfc erfinv exp10 exp2 expit expm1 gamma gammaln inv_boxcox "
    "inv_boxcox1p log1p log_expit logit ndtr ndtri psi xlog1py xlogy"
)
UFUNCS = full_names(
    {
        "numpy": _COMPUTING,
        "numpy._core._multiarray_umath": _COMPUTING,
        "scipy.special._special_ufuncs": _SPECIAL,
        "scipy.special._ufuncs": _SPECIAL,
    }
)

_DISTANCES = (
    "BrayCurtis Canberra Chebyshev Dice Euclidean Hamming Haversine Jaccard Kulsinski Mahalanobis "
    "Manhattan Matching Minkowski RogersTanimoto RussellRao SEuclidean SokalMichener SokalSneath"
)
#: Types and constants that are parts of a state or arguments of a call, and are not called.
TYPES = full_names(
    {
        "builtins": "Ellipsis NotImplemented bool dict float int list object str tuple",
        "numpy": "bool bool_ bytes_ complex128 complex64 datetime64 float16 float32 float64 "
        "floating generic inexact int16 int32 int64 int8 integer ndarray number object_ "
        "signedinteger str_ timedelta64 uint16 uint32 uint64 uint8 unsignedinteger void",
        "numpy.ma": "MaskedArray",
        "numpy.ma.core": "MaskedArray",
        "numpy.random._mt19937": "MT19937",
        "numpy.random._pcg64": "PCG64 PCG64DXSM",
        "numpy.random._philox": "Philox",
        "numpy.random._sfc64": "SFC64",
        "numpy.random.bit_generator": "SeedSequence",
        "pandas": "Categorical DatetimeIndex CategoricalIndex Index IntervalIndex MultiIndex NA "
        "RangeIndex TimedeltaIndex",
        "pandas._libs.missing": "NA",
        "pandas.arrays": "DatetimeArray StringArray TimedeltaArray",
        "pandas.core.arrays.categorical": "Categorical",
        "pandas.core.arrays.datetimes": "DatetimeArray",
        "pandas.core.arrays.string_": "StringArray",
        "pandas.core.arrays.timedeltas": "TimedeltaArray",
        "pandas.core.indexes.base": "Index",
        "pandas.core.indexes.category": "CategoricalIndex",
        "pandas.core.indexes.datetimes": "DatetimeIndex",
        "pandas.core.indexes.interval": "IntervalIndex",
        "pandas.core.indexes.multi": "MultiIndex",
        "pandas.core.indexes.range": "RangeIndex",
        "pandas.core.indexes.timedeltas": "TimedeltaIndex",
        "sklearn._loss._loss": "CyHalfMultinomialLoss",
        "sklearn.metrics._dist_metrics": " ".join(
            f"{kind}Distance{bits}" for kind in _DISTANCES.split() for bits in ("", "32", "64")
        ),
        "sklearn.neighbors._ball_tree": "BallTree BallTree32 BallTree64",
        "sklearn.neighbors._kd_tree": "KDTree KDTree32 KDTree64",
    }
)
