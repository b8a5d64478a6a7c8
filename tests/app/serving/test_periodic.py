import threading

from app.serving import periodic


def test_thread_survives_errors_and_logs_repeated_ones_once(caplog):
    full, odd = OSError("the disk is full"), ValueError("odd")
    outcomes, is_over = iter([full, full, odd, None, odd]), threading.Event()

    def run():
        for outcome in outcomes:
            if outcome:
                raise outcome
            return
        is_over.set()
        threading.Event().wait()

    periodic.start("clean up", run, 0.001)

    assert is_over.wait(60)
    assert [(each.getMessage(), bool(each.exc_info)) for each in caplog.records] == [
        ("cannot clean up: the disk is full", False),
        ("cannot clean up: odd", True),
        ("cannot clean up: odd", True),
    ]
