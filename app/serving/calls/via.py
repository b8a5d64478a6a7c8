"""The servers that a request has passed on its way to this one.

Source: RFC 9110, 7.6.3, "Via".
"""

from contextvars import ContextVar

#: The value of the header ``Via`` of the request that calls a model; empty without one.
VIA: ContextVar[str] = ContextVar("via", default="")
