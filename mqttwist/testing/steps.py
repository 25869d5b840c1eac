"""How far the clock of a test may go in one step, so that nothing comes late and a week passes quickly.

Client and broker look once a second at what is due. Most of those looks find nothing, and when that will be
so is known: the step goes to the first one that may find something. Whatever else waits for the clock is
called at its time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from twisted.internet.task import Clock, LoopingCall

from mqttwist.broker.broker import Broker
from mqttwist.front.client import FrontClient
from mqttwist.net.timers import BrokerTimers
from mqttwist.session.connection import CONNECTED
from mqttwist.wire.packet import MQTT_5

CALLS = 200_000  # so many at one moment are an endless loop


def settle(clock: Clock) -> None:
    """Let happen what is to happen now. Raises `AssertionError` if that has no end.

    `Clock.advance(0)` would do the same, but never return from what calls itself once more each time.
    """
    for _ in range(CALLS):
        if not clock.calls or clock.calls[0].getTime() > clock.seconds():
            return
        call = clock.calls.pop(0)
        call.called = 1
        call.func(*call.args, **call.kw)
    raise AssertionError(f"something goes on for ever: {clock.getDelayedCalls()}")


def step_to(clock: Clock, when: float) -> None:
    """Make it `when`, and let happen what is to happen then."""
    clock.rightNow = max(when, clock.rightNow)
    settle(clock)


def next_step(clock: Clock, broker: Broker) -> float:
    """When something may happen next, by `clock`; infinity if nothing is going to."""
    return min((_time_of(call, broker) for call in clock.getDelayedCalls()), default=inf)


def _time_of(call: Any, broker: Broker) -> float:
    time: float = call.getTime()
    loop: Any = call.func
    if not isinstance(loop, LoopingCall):
        return time
    owner = getattr(loop.f, "__self__", None)
    if isinstance(owner, BrokerTimers):
        look: Any = loop.a[0]
        return max(time, _next_look_of_broker(look, broker))
    if isinstance(owner, FrontClient):
        return max(time, _next_look_of_client(owner, time))
    return time


def _next_look_of_broker(look: Callable[[], object], broker: Broker) -> float:
    if look == broker.tick:
        due = broker.deadlines.next_at
        return inf if due is None else due
    if look == broker.send_overdue:
        old = [one for one in broker.sessions.connections() if one.version != MQTT_5]
        waits = any(one.session is not None and one.session.outgoing.in_flight for one in old)
        return 0.0 if waits else inf
    return 0.0


def _next_look_of_client(front: FrontClient, soon: float) -> float:
    """A client that has nothing to wait for looks for Keep Alive only, and for the answer to its PINGREQ."""
    core = front.core
    connection = core.connection
    if connection is None:
        return inf
    waits = connection.version != MQTT_5 and core.outgoing.in_flight
    if connection.state != CONNECTED or waits or connection.reading_is_paused:
        return soon
    if not connection.keep_alive:
        return inf
    sent = connection.last_sent
    due = (connection.ping_due_at, sent + core.settings.ping_timeout)
    return min((one for one in due if one > soon - 1.0), default=soon)
