"""Requests at a steady rate, each answer checked: what came of them while a server's life goes on."""

import itertools
import json
import select
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

#: Connections that are kept open, each with a request at a time.
CONNECTIONS = 10
RATE = 100
#: Of how many requests one opens a new connection, which may be with another process.
REQUESTS = 10
PATIENCE = 30


@dataclass
class Load:
    """What was asked, and what came of it. Each request has an id, and so has its answer."""

    port: int
    model: str
    rate: int
    #: The answers by the requests' ids, and when they came.
    answers: dict = field(default_factory=dict)
    #: What went wrong, by the requests' ids: an error of the connection, or a wrong answer.
    lost: dict = field(default_factory=dict)
    wrong: dict = field(default_factory=dict)
    _ids: itertools.count = field(default_factory=lambda: itertools.count(1))
    _end: threading.Event = field(default_factory=threading.Event)

    def numbers(self, after=0.0):
        """The numbers of the models that have answered since a moment."""
        return {said["number"] for when, said in list(self.answers.values()) if when > after}

    def processes(self, after=0.0):
        """The processes that have answered since a moment."""
        return {said["in"] for when, said in list(self.answers.values()) if when > after}

    def last(self):
        """When the last request failed that did; 0 if none did."""
        return max((when for when, _ in self.lost.values()), default=0)

    def _ask_on(self):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        due, pause = time.monotonic(), CONNECTIONS / self.rate
        while not self._end.wait(max(0, due - time.monotonic())):
            due = max(due + pause, time.monotonic() - pause)
            number = next(self._ids)
            if number % REQUESTS == 0 or _is_closed(connection):
                connection.close()
            try:
                self._take(number, *self._ask(connection, number))
            except (OSError, HTTPException) as error:
                self.lost[number] = time.monotonic(), repr(error)
                connection.close()
        connection.close()

    def _ask(self, connection, number):
        body = json.dumps({"id": number})
        path = f"/api/models/{self.model}/predict"
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("X-Model-Version")

    def _take(self, number, status, body, version):
        said = json.loads(body)
        if status == 200 and said["id"] == number and version == str(said["number"]):
            self.answers[number] = time.monotonic(), said
        else:
            self.wrong[number] = status, body, version


def _is_closed(connection):
    """Tell whether the server has closed a connection, as pools of connections do before they use it."""
    return bool(connection.sock and select.select([connection.sock], [], [], 0)[0])


@contextmanager
def loading(port, model="lived", rate=RATE):
    """Ask as long as the block lasts, and wait for the last answers."""
    load = Load(port, model, rate)
    threads = [threading.Thread(target=load._ask_on) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load._end.set()
        for thread in threads:
            thread.join()
