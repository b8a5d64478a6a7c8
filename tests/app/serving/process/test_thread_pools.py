from app.serving.process import thread_pools


def test_thread_pools_default_to_one():
    environ = {"OMP_NUM_THREADS": "4"}

    thread_pools.limit(environ)

    assert (environ["OMP_NUM_THREADS"], environ["OPENBLAS_NUM_THREADS"]) == ("4", "1")
