"""Ports for servers that start later."""

import itertools
import os
import socket

#: Below the ports that the system gives to clients, and to servers that request any. Each process
#: of pytest has others.
_candidates = itertools.count(20_000 + os.getpid() * 101 % 10_000)


def find_port():
    """Return a port that stays free until a server listens on it."""
    return next(filter(_is_free, _candidates))


def _is_free(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
