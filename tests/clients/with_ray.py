"""Deploys a configuration on two local nodes of Ray, and kills one of them under load.

Arguments: the configuration, the name of the model, and a row. Writes JSON: the predictions and
the statuses of other responses, before and after the death of the node.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.request

import psutil
import ray
import yaml
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

THREADS, ROWS, MEMORY_BYTES = 8, 500, 200_000_000
BEFORE_SECONDS, AFTER_SECONDS, START_SECONDS = 4, 12, 150


def main(path, model, row):
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 2,
            "include_dashboard": False,
            "object_store_memory": MEMORY_BYTES,
        },
    )
    second = cluster.add_node(num_cpus=2, object_store_memory=MEMORY_BYTES)
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        url = f"http://127.0.0.1:{deploy(path, model)}/{model}/api/models/{model}/predict"
        expected = post(url, [row] * ROWS)
        return expected[0], run(url, row, expected, lambda: kill(cluster, second))
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()


def deploy(path, model):
    """Deploy the configuration, with one HTTP proxy for both nodes, and return its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with open(path) as stream:
        document = yaml.safe_load(stream)
    serve.start(http_options={"host": "127.0.0.1", "port": port, "location": "HeadOnly"})
    document["proxy_location"] = "HeadOnly"
    _get_global_client().deploy_apps(ServeDeploySchema(**document))
    ends_at = time.monotonic() + START_SECONDS
    while (state := serve.status().applications[model]).status != "RUNNING":
        assert time.monotonic() < ends_at, state
        time.sleep(0.5)
    return port


def run(url, row, expected, kill_node):
    """Send requests from threads, and return how many there were of each outcome."""
    found = {"killed": 0, "before": 0, "after": 0, "others": []}
    is_over = threading.Event()

    def send():
        while not is_over.is_set():
            try:
                predictions = post(url, [row] * ROWS)
                assert predictions == expected
                found["after" if found["killed"] else "before"] += 1
            except Exception as error:
                found["others"].append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=send) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    time.sleep(BEFORE_SECONDS)
    found["killed"] = kill_node()
    time.sleep(AFTER_SECONDS)
    is_over.set()
    for thread in threads:
        thread.join()
    return found


def kill(cluster, node):
    """Kill all processes of a node, as a power failure does; return how many replicas it had."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    children = raylet.children(recursive=True)
    replicas = sum("ServeReplica" in " ".join(each.cmdline()) for each in children)
    for each in [*children, raylet]:
        os.kill(each.pid, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)
    return replicas


def post(url, body):
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


if __name__ == "__main__":
    prediction, found = main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
    sys.stdout.write("RESULT" + json.dumps({"prediction": prediction, **found}))
