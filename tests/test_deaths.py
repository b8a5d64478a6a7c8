"""Models that end the server's own processes, and how they are set aside."""

import http.client
import os
import signal
from http import HTTPStatus

import pytest

from app.serving.board import Wanted
from app.serving.deaths import counted
from app.serving.lane import Limits
from app.serving.ledger import Ledger, Suspect, deaths
from tests.servers import COMMANDS, serving
from tests.waiting import wait_until

LIMITS = Limits(rows=1, threads=1, waiting=1, seconds=1, deaths=3, deaths_seconds=100)
GUILTY, BUSY = Suspect("guilty.Guilty@", "guilty"), Suspect("busy.flm@", "busy")
REASON = "its code ran when a process ended, 3 times within 600 seconds"
DYING = """models:
  - class: tests.models.harmful.dying.Dying
  - class: tests.models.simple.Doubler
"""


def test_a_model_is_set_aside_when_it_was_there_alone_too_often():
    twice = counted(Wanted(), [[GUILTY], [GUILTY]], LIMITS, now=1000)
    thrice = counted(twice, [[GUILTY]], LIMITS, now=1050)

    assert twice.aside == {}
    assert thrice.aside[GUILTY.identity].name == "guilty"
    assert thrice.aside[GUILTY.identity].reason.endswith("3 times within 100 seconds")
    assert thrice.generation == 1


def test_several_suspects_share_a_death():
    shared = counted(Wanted(), [[GUILTY, BUSY]] * 4, LIMITS, now=1000)

    wanted = counted(shared, [[GUILTY]], LIMITS, now=1000)

    assert (shared.aside, set(wanted.aside)) == ({}, {GUILTY.identity})


def test_deaths_are_forgotten_after_some_time_and_never_counted_with_0():
    twice = counted(Wanted(), [[GUILTY], [GUILTY]], LIMITS, now=1000)
    limits = Limits(rows=1, threads=1, waiting=1, seconds=1, deaths=0)

    assert counted(twice, [[GUILTY]], LIMITS, now=1101).aside == {}
    assert counted(Wanted(), [[GUILTY]] * 9, limits, now=1000).aside == {}


@pytest.fixture
def dead(tmp_path):
    """A function that lets a process die with calls of some models, and returns its number."""

    def die(*counts):
        pid = os.fork()
        if not pid:
            ledger = Ledger()
            places = [ledger.enter(each) for each in (GUILTY, BUSY)]
            ledger.open(tmp_path)
            for place, count in zip(places, counts, strict=True):
                ledger.counts[place] = count
            os._exit(0)
        os.waitpid(pid, 0)
        return pid

    return die


def test_whose_code_ran_in_a_dead_process_is_told_once(dead, tmp_path):
    dead(0, 2)
    dead(1, 1)
    dead(0, 0)

    found = deaths(tmp_path)

    assert sorted(found, key=len) == [[BUSY], [GUILTY, BUSY]]
    assert (deaths(tmp_path), list(tmp_path.iterdir())) == ([], [])


@pytest.fixture(scope="module", params=COMMANDS)
def server(request):
    """The name of a server."""
    return request.param


def is_answered(running, name, row):
    """Tell whether a model answers; a server that has just lost a process may refuse."""
    return asked(running, f"/api/models/{name}/predict", row)[0] == HTTPStatus.OK


def states(running, name):
    """Return the states of a model in all processes, as far as many requests find them."""
    answers = [asked(running, "/readyz")[1] for _ in range(20)]
    return {tuple(each["models"][name].values()) if each else ("gone", "") for each in answers}


def asked(running, *request):
    try:
        return running.ask(*request)
    except (http.client.HTTPException, OSError):
        return None, None


def end_all(running, hows):
    """Let a model end a process in some ways, one after the other."""
    for how in hows:
        wait_until(lambda: is_answered(running, "dying", {}), 20)
        assert not is_answered(running, "dying", {"how": how})


@pytest.mark.parametrize("processes", [1, 2])
def test_a_model_that_ends_processes_is_set_aside_until_the_models_are_read_again(
    server, processes, tmp_path
):
    with serving(server, tmp_path, DYING, WORKERS=processes) as running:
        end_all(running, ["segfault", "abort", "kill"])
        wait_until(lambda: is_answered(running, "doubler", {"x": 1}), 20)
        wait_until(lambda: states(running, "dying") == {("failed", REASON)}, 20)

        refused = running.ask("/api/models/dying/predict", {})
        running.process.send_signal(signal.SIGHUP)

        assert (refused[0], refused[1]["detail"]) == (503, f"the model 'dying' is failed: {REASON}")
        wait_until(lambda: states(running, "dying") == {("ready", None)}, 20)
        assert is_answered(running, "dying", {})


def test_a_model_that_ends_each_process_that_loads_it_is_set_aside(server, tmp_path):
    entry = "    load: worker\n    settings: {how: segfault, at: load}\n"
    text = DYING.replace("Dying\n", f"Dying\n{entry}")

    with serving(server, tmp_path, text, WORKERS=2) as running:
        wait_until(lambda: states(running, "dying") == {("failed", REASON)}, 20)

        assert all(is_answered(running, "doubler", {"x": 1}) for _ in range(20))


def test_worker_of_any_exit_status_is_replaced(tmp_path):
    with serving("gunicorn", tmp_path, DYING, WORKERS=2) as running:
        end_all(running, ["_exit", "_exit-4"])

        wait_until(lambda: is_answered(running, "dying", {}), 20)


def test_model_that_exits_while_loaded_is_quarantined(tmp_path):
    entry = "    load: worker\n    settings: {how: _exit, at: load}\n"
    text = DYING.replace("Dying\n", f"Dying\n{entry}")

    with serving("gunicorn", tmp_path, text, WORKERS=2) as running:
        wait_until(lambda: {state for state, _ in states(running, "dying")} == {"failed"}, 20)


def test_an_isolated_model_that_one_process_sets_aside_is_set_aside_in_all(tmp_path):
    text = DYING.replace("Dying\n", "Dying\n    isolate: true\n")

    with serving("gunicorn", tmp_path, text, WORKERS=2, MODELHOST_DEATHS=2) as running:
        # Two in one process are enough, and three are that in any case.
        for _ in range(3):
            asked(running, "/api/models/dying/predict", {"how": "kill"})
        wait_until(lambda: {state for state, _ in states(running, "dying")} == {"failed"}, 20)

        [(_, reason)] = states(running, "dying")
        assert reason == "its process has ended 2 times within 600 seconds: killed by SIGKILL"
