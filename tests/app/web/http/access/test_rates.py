"""Rate limits of clients, counted in a store or in memory."""

from limits.storage import MemoryStorage

from app.web.http.access import rates
from app.web.http.access.rates import Rates
from tests.new_keys import NewKey

HERE, THERE = {"REMOTE_ADDR": "10.0.0.1"}, {"REMOTE_ADDR": "10.0.0.2"}


class UnreachableStorage(MemoryStorage):
    """A store that refuses connections."""

    STORAGE_SCHEME = ["unreachable"]
    base_exceptions = ConnectionError

    def incr(self, *_args, **_options):
        raise ConnectionError("connection refused")


def test_each_client_has_its_own_count():
    counted = Rates("1 per hour", "")
    one, two = NewKey(), NewKey()

    admitted = [counted.count(*each) for each in [(HERE, None), (THERE, None), (HERE, one)]]

    assert admitted == [0, 0, 0]
    assert counted.count(HERE, two) == 0
    assert 0 < counted.count(THERE, two) <= 3600


def test_all_limits_hold():
    counted = Rates("3 per second; 2 per hour", "")

    waits = [counted.count(HERE, None) for _ in range(3)]

    assert waits[:2] == [0, 0]
    assert waits[2] > 1


def test_unreachable_store_is_replaced_by_memory(caplog):
    counted = Rates("1 per hour", "unreachable://")

    waits = [counted.count(HERE, None) for _ in range(3)]

    assert (waits[0], min(waits[1:]) > 0) == (0, True)
    assert caplog.text.count("RATE_STORAGE is unreachable") == 1


def test_unreachable_store_is_tried_again(caplog, monkeypatch):
    monkeypatch.setattr(rates, "RETRY_SECONDS", 0.0)
    counted = Rates("1 per hour", "unreachable://")

    for _ in range(2):
        counted.count(HERE, None)

    assert caplog.text.count("RATE_STORAGE is unreachable") == 2
