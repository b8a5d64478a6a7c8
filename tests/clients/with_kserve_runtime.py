"""Read a serving runtime with the classes of KServe and Kubernetes, and write what they keep."""

import json
import sys

import kserve.models
from kubernetes import client


def read(kind, value):
    """Return the members of a value that its class has.

    :raises KeyError: if a class of KServe does not have one.
    :raises ValueError: if one that is required is missing, or has another type.
    """
    if kind.startswith("list["):
        return [read(kind.removeprefix("list[").removesuffix("]"), each) for each in value]
    if hasattr(client, kind):
        return getattr(client, kind).from_dict(value).model_dump(by_alias=True, exclude_none=True)
    if not hasattr(kserve.models, kind):
        return value
    model = getattr(kserve.models, kind)
    attributes = {name: attribute for attribute, name in model.attribute_map.items()}
    kept = {name: read(model.openapi_types[attributes[name]], value[name]) for name in value}
    model(**{attributes[name]: each for name, each in kept.items()})
    return kept


json.dump(read("V1alpha1ClusterServingRuntime", json.loads(sys.argv[1])), sys.stdout)
