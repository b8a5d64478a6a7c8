"""Models that crash the server's processes, and their quarantine."""

import http.client
import os
import resource
import signal
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

import pytest

from app.serving.calls.limits import Limits
from app.serving.errors import PredictionTimeout
from app.serving.models.manager import ModelManager
from app.serving.process.running_calls import CallRecord, Suspect, record, take_crashes
from app.serving.reload.crashes import count_crashes, forget_crashes
from app.serving.reload.shared_state import DesiredState
from tests.running_server import serving
from tests.waiting import wait_until

LIMITS = Limits(rows=1, threads=1, queue_size=1, seconds=1, crashes=3, crash_seconds=100)
GUILTY, BUSY = Suspect("a" * 64, "guilty"), Suspect("b" * 64, "busy")
REASON = "was running in 3 crashes; set `isolate: true` in its entry to keep the server safe"
DYING = """models:
  - class: tests.models.harmful.dying.Dying
  - class: tests.models.simple.Doubler
"""


def test_model_in_three_crashes_is_quarantined():
    twice = count_crashes(DesiredState(), [[GUILTY], [GUILTY, BUSY]], LIMITS, now=1000)
    thrice = count_crashes(twice, [[BUSY, GUILTY]], LIMITS, now=1050)

    assert twice.quarantined == {}
    assert set(thrice.quarantined) == {GUILTY.fingerprint}
    assert (thrice.quarantined[GUILTY.fingerprint].name, thrice.generation) == ("guilty", 1)
    assert thrice.quarantined[GUILTY.fingerprint].reason == REASON


def test_most_suspect_model_is_quarantined():
    desired = count_crashes(DesiredState(), [[BUSY, GUILTY]] * 3, LIMITS, now=1000)
    more = count_crashes(desired, [[BUSY]], LIMITS, now=1000)

    assert set(desired.quarantined) == {GUILTY.fingerprint}
    assert set(more.quarantined) == {GUILTY.fingerprint, BUSY.fingerprint}


def test_old_crashes_do_not_count():
    twice = count_crashes(DesiredState(), [[GUILTY], [GUILTY]], LIMITS, now=1000)
    limits = replace(LIMITS, crashes=0)

    assert count_crashes(twice, [[GUILTY]], LIMITS, now=1101).quarantined == {}
    assert count_crashes(DesiredState(), [[GUILTY]] * 9, limits, now=1000).quarantined == {}


def test_forgotten_crashes_do_not_count():
    desired = count_crashes(DesiredState(), [[BUSY, GUILTY]] * 3, LIMITS, now=1000)

    desired = count_crashes(
        forget_crashes(desired, GUILTY.fingerprint), [[GUILTY]], LIMITS, now=1001
    )

    assert desired.quarantined == {}


@pytest.fixture
def dead(tmp_path):
    """A function that crashes a process, given the times of each model in nanoseconds.

    They are the start of its running call, and the duration of the ended ones.
    """

    def die(*times):
        pid = os.fork()
        if not pid:
            ledger = CallRecord()
            places = [ledger.add() for _ in times]
            ledger.identify(places[0], GUILTY)
            ledger.open(tmp_path)
            ledger.identify(places[1], BUSY)
            for place, (start, ended) in zip(places, times, strict=True):
                ledger.times[place], ledger.times[place + 1] = start, ended
            os._exit(0)
        os.waitpid(pid, 0)
        return pid

    return die


def test_suspects_are_ordered_by_their_time(dead, tmp_path):
    dead((0, 9), (2, 0))
    dead((3, 0), (3, 5))
    dead((1, 0), (3, 0))
    dead((0, 9), (0, 0))

    found = take_crashes(tmp_path)

    assert sorted(found, key=lambda each: (len(each), each[0].name)) == [
        [BUSY],
        [BUSY, GUILTY],
        [GUILTY, BUSY],
    ]
    assert (take_crashes(tmp_path), list(tmp_path.iterdir())) == ([], [])


def test_record_without_room_is_no_crash(tmp_path):
    pid = os.fork()
    if not pid:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        with suppress(OSError):
            CallRecord().open(tmp_path)
        os._exit(0)
    os.waitpid(pid, 0)

    assert (take_crashes(tmp_path), list(tmp_path.iterdir())) == ([], [])


def test_hanging_call_is_not_suspect(make_app, tmp_path):
    file = tmp_path / "stuck"
    file.touch()
    entry = f"class: tests.models.processes.Stuck, settings: {{file: {file}}}, time_limit: 0.05"
    app = make_app(f"models: [{{{entry}}}]", WARM_UP_SECONDS=0)
    [model] = ModelManager().models()

    with pytest.raises(PredictionTimeout):
        app.extensions["modelhost"].predictor.predict("stuck", [{}])
    hung = record.times[model.calls.place]
    file.unlink()

    assert hung == 0


@pytest.fixture(scope="module", params=["granian"])
def server(request):
    """The name of a server."""
    return request.param


def is_answered(running, name, row):
    """Return whether a model predicts; a server that has just lost a process may not accept."""
    return asked(running, f"/api/models/{name}/predict", row)[0] == HTTPStatus.OK


def states(running, name):
    """Return the states of a model in all processes that many requests reach."""
    answers = [asked(running, "/readyz")[1] for _ in range(20)]
    return {tuple(each["models"][name].values()) if each else ("gone", "") for each in answers}


def asked(running, *request):
    try:
        return running.ask(*request)
    except (http.client.HTTPException, OSError):
        return None, None


def end_all(running, hows):
    """Crash a process in several ways, one after the other."""
    for how in hows:
        wait_until(lambda: is_answered(running, "dying", {}))
        assert not is_answered(running, "dying", {"how": how})


@pytest.mark.parametrize(
    ("processes", "hows"),
    # 3 and 4 are also the statuses of a worker that cannot start.
    [(1, ["segfault", "abort", "kill"]), (2, ["_exit", "_exit-4", "kill"])],
)
def test_changed_entry_ends_quarantine(server, processes, hows, tmp_path):
    with serving(server, tmp_path, DYING, WORKERS=processes) as running:
        end_all(running, hows)
        wait_until(lambda: is_answered(running, "doubler", {"x": 1}))
        wait_until(lambda: states(running, "dying") == {("failed", REASON)})
        refused = running.ask("/api/models/dying/predict", {})

        others = DYING + "  - class: tests.models.simple.Echo\n"
        (tmp_path / "models.yaml").write_text(others)
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: is_answered(running, "echo", {}))
        after_others = states(running, "dying")
        (tmp_path / "models.yaml").write_text(others.replace("Dying\n", "Dying\n    tags: [new]\n"))
        running.process.send_signal(signal.SIGHUP)

        assert (refused[0], refused[1]["detail"]) == (503, f"the model 'dying' is failed: {REASON}")
        assert after_others == {("failed", REASON)}
        wait_until(lambda: states(running, "dying") == {("ready", None)})
        assert is_answered(running, "dying", {})


def test_model_crashing_on_load_is_quarantined(server, tmp_path):
    entry = "    load: worker\n    settings: {how: segfault, at: load}\n"
    text = DYING.replace("Dying\n", f"Dying\n{entry}")
    text += f"  - class: tests.models.harmful.dying.Dying\n    name: exiting\n{entry}"
    text = "_exit".join(text.rsplit("segfault", 1))

    with serving(server, tmp_path, text, WORKERS=2) as running:
        wait_until(lambda: states(running, "dying") == {("failed", REASON)})
        wait_until(lambda: {state for state, _ in states(running, "exiting")} == {"failed"})

        assert all(is_answered(running, "doubler", {"x": 1}) for _ in range(20))


def test_quarantine_reaches_all_processes(tmp_path):
    text = DYING.replace("Dying\n", "Dying\n    isolate: true\n")

    with serving("granian", tmp_path, text, WORKERS=2, MODELHOST_DEATHS=2) as running:
        # Two in one process are enough, and three are that in any case.
        for _ in range(3):
            asked(running, "/api/models/dying/predict", {"how": "kill"})
        wait_until(lambda: {state for state, _ in states(running, "dying")} == {"failed"})

        [(_, reason)] = states(running, "dying")
        assert reason == "its process exited 2 times within 600 seconds: killed by SIGKILL"
