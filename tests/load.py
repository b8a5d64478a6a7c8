"""Sends requests at a steady rate, and checks each response."""

import itertools
import json
import select
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

from tests.waiting import PATIENCE

#: Persistent connections, each with one request at a time.
CONNECTIONS = 10
RATE = 100
#: Requests per connection. A new connection may reach another process.
REQUESTS = 10


@dataclass
class Load:
    """The requests and their results, by request id."""

    port: int
    model: str
    rate: int
    #: The time and the prediction of each request, by its id.
    answers: dict = field(default_factory=dict)
    #: Failed requests by id: connection errors with the time of the request, and wrong predictions.
    lost: dict = field(default_factory=dict)
    wrong: dict = field(default_factory=dict)
    _ids: itertools.count = field(default_factory=lambda: itertools.count(1))
    _end: threading.Event = field(default_factory=threading.Event)

    def numbers(self, after=0.0):
        """The numbers of the models that have predicted since a time."""
        return {said["number"] for when, said in list(self.answers.values()) if when > after}

    def processes(self, after=0.0):
        """The processes that have responded since a time."""
        return {said["in"] for when, said in list(self.answers.values()) if when > after}

    def last(self):
        """The time of the last failed request; 0 if all succeeded."""
        return max((when for when, _ in self.lost.values()), default=0)

    def _ask_on(self):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        due, pause = time.monotonic(), CONNECTIONS / self.rate
        while not self._end.wait(max(0, due - time.monotonic())):
            due = max(due + pause, time.monotonic() - pause)
            number = next(self._ids)
            start = time.monotonic()
            if number % REQUESTS == 0 or _is_closed(connection):
                connection.close()
            try:
                self._take(number, *self._ask(connection, number))
            except (OSError, HTTPException) as error:
                self.lost[number] = start, repr(error)
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
    """Return whether the server has closed a connection, as connection pools check before reuse."""
    return bool(connection.sock and select.select([connection.sock], [], [], 0)[0])


@contextmanager
def loading(port, model="lived", rate=RATE):
    """Send requests during the block, and wait for the last responses."""
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
