"""Calls by hour."""

import pytest

from app.serving.monitoring.traffic import HOUR_SECONDS, RECORD_SECONDS, Traffic, TrafficHistory
from app.serving.process.metrics import EVALUATION, CallMetrics

MONDAY = 1_000 * 168 * HOUR_SECONDS


@pytest.fixture(params=["in memory", "shared"])
def histories(request, tmp_path):
    """The history of two processes."""
    if request.param == "shared":
        return TrafficHistory(tmp_path), TrafficHistory(tmp_path)
    history = TrafficHistory(None)
    return history, history


@pytest.fixture
def label(request):
    """The name of a model that no other test calls."""
    return request.node.name


def call(label, *seconds, endpoint="predict"):
    calls = CallMetrics(label, endpoint)
    for each in seconds:
        calls.start()
        calls.succeed(1, each)


def test_calls_are_counted_in_their_hour(histories, label):
    first, second = histories

    call(label, 0.1)
    first.record(MONDAY)
    call(label, 0.2, 0.3)
    call(label, 0.5, endpoint=EVALUATION)
    second.record(MONDAY + HOUR_SECONDS)
    call(label, 0.4)

    hours = first.read(MONDAY + HOUR_SECONDS + 1)[label]
    assert [(each.start - MONDAY, each.calls) for each in hours] == [(0, 1), (HOUR_SECONDS, 3)]


def test_one_process_records_for_all(histories, label):
    first, second = histories

    first.record(MONDAY)
    call(label, 0.1)
    second.record(MONDAY + RECORD_SECONDS / 2)
    first.record(MONDAY + HOUR_SECONDS)

    assert [each.start - MONDAY for each in first.read(MONDAY)[label]] == [HOUR_SECONDS]


def test_hours_older_than_a_week_are_removed(histories, label):
    history, _ = histories
    call(label, 0.1)
    history.record(MONDAY)

    history.record(MONDAY + 200 * HOUR_SECONDS)

    assert label not in history.read(MONDAY + 200 * HOUR_SECONDS)


def test_failed_calls_are_errors():
    hour = Traffic(0, {"outcome ok": 3, "outcome QueueFull": 2})

    assert (hour.calls, hour.errors, hour.outcomes["QueueFull"]) == (5, 2, 2)


def test_quantile_is_interpolated_in_its_bucket():
    hour = Traffic(0, {"at most 0.1": 50, "at most 0.2": 40, "at most +Inf": 10})

    assert hour.quantile(0.5) == pytest.approx(0.1)
    assert hour.quantile(0.7) == pytest.approx(0.15)
    assert hour.quantile(0.99) == 30
    assert Traffic(0, {}).quantile(0.5) is None


def test_lower_buckets_may_be_empty(histories, label):
    history, _ = histories

    call(label, 4.0, 4.0, 4.0)

    (hour,) = history.read(MONDAY)[label]
    assert 2.5 < hour.quantile(0.5) < hour.quantile(0.95) < 5


def test_unwritable_folder_keeps_the_last_record(tmp_path):
    history = TrafficHistory(tmp_path / "gone")
    call("unwritable", 0.1)

    history.record(MONDAY)

    assert sum(each.calls for each in history.read(MONDAY)["unwritable"]) == 1
