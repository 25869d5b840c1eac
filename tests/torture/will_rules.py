"""Holds a history to what the specification says of Will Messages (3.1.2.5, 3.1.3.2.2), across kills.

A will is published once when its connection ended otherwise than by DISCONNECT 0x00, as soon as its delay has
passed or its session ended. It is not published if its client came back to the session before that. A kill of
the broker ends the connection, too; a will whose time comes while the broker is down is published when it
serves again. At QoS 0 and 1, whose deliveries do not wait for the disk, one that was published just before a
kill may be published again after it.

The broker can only keep what it has written: of a will that was set or called off just before a kill nothing
is demanded, unless the broker had acknowledged something that came later (`Proved`).

Times are seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from tests.torture.checker import Fault
from tests.torture.history import (
    Closed,
    Delivered,
    Event,
    History,
    Killed,
    Proved,
    Returned,
    Started,
    WillSet,
)

EARLY = 0.25  # how much two clocks may differ
ALIVE_STEP = 1.5  # a broker that was killed knows by so much when that was
UNSTORED = 1.0  # for how long at most something is not on the disk yet
LATE = 5.0  # how long a busy machine may take


@dataclass
class _Will:
    """The will of one connection."""

    set: WillSet
    is_proved: bool = False
    ended_at: float | None = None  # the connection
    ended_since: float = 0.0  # the broker may take it to have ended then already
    is_called_off: bool = False
    end_is_proved: bool = False
    returned: Returned | None = None
    first_return_at: float = 0.0
    return_is_proved: bool = False
    came_at: list[float] = field(default_factory=list)

    @property
    def wait(self) -> int:
        """From the end of the connection to the will: its delay, or less if the session ends before."""
        return min(self.set.delay, self.set.expiry)


@dataclass
class _Wills:
    by_topic: dict[str, _Will] = field(default_factory=dict)
    of_client: dict[str, _Will] = field(default_factory=dict)
    kills: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)

    def take(self, event: Event) -> None:
        if isinstance(event, WillSet):
            self.of_client[event.client] = self.by_topic[event.topic] = _Will(event)
        elif isinstance(event, Delivered):
            if event.topic in self.by_topic:
                self.by_topic[event.topic].came_at.append(event.at)
        elif isinstance(event, Proved):
            self._prove()
        elif isinstance(event, Killed):
            self._kill(event.at)
        elif isinstance(event, Started):
            self.starts.append(event.at)
        elif isinstance(event, Closed):
            will = self.of_client[event.client]
            will.ended_at = will.ended_since = event.at
            will.is_called_off = event.called_off
        elif isinstance(event, Returned):
            self._return(self.of_client[event.client], event)

    def _return(self, will: _Will, event: Returned) -> None:
        """The first one decides, unless a kill may have made the broker forget it."""
        if will.returned is None:
            will.first_return_at = event.at
        if not will.return_is_proved:
            will.returned = event

    def _prove(self) -> None:
        """Since the last kill nothing is lost any more; a kill takes the others off the list."""
        for will in self.by_topic.values():
            unsure_since = self.kills[-1] if self.kills else 0.0
            if will.ended_at is None:
                will.is_proved = True
            elif will.ended_at > unsure_since:
                will.is_proved = will.end_is_proved = True
            if will.returned is not None and will.returned.at > unsure_since:
                will.return_is_proved = True

    def _kill(self, at: float) -> None:
        self.kills.append(at)
        for will in self.by_topic.values():
            if will.ended_at is None:
                will.ended_at = at
                will.ended_since = at - ALIVE_STEP
            elif not will.end_is_proved and not will.is_called_off and will.returned is None:
                will.ended_at = max(will.ended_at, at)  # the broker may not have seen it end before

    def is_sure(self, at: float, is_proved: bool) -> bool:
        """Whether what the broker was told at `at` was not taken from it by a kill."""
        return is_proved or not any(kill > at for kill in self.kills)

    def may_come_twice(self, will: _Will) -> bool:
        """Whether a kill has made the broker forget that it had published the will at QoS 0 or 1."""
        if will.set.qos == 2 or len(will.came_at) > 2:
            return False
        first, second = will.came_at
        return any(first < kill < second and kill - first < UNSTORED for kill in self.kills)

    def serving_from(self, due: float) -> float:
        """When the broker, which may be down or be killed just then, has had the time for what is due."""
        at = due
        for kill in self.kills:
            if kill > at + LATE:
                break
            start = bisect_left(self.starts, kill)
            if start == len(self.starts):
                return float("inf")
            at = max(at, self.starts[start])
        return at


def check_wills(history: History, until: float) -> list[Fault]:
    """All faults; `until` is when the run stopped to listen."""
    wills = _Wills()
    for event in history.events:
        wills.take(event)
    return [fault for will in wills.by_topic.values() for fault in _judge(will, wills, until)]


def _judge(will: _Will, wills: _Wills, until: float) -> list[Fault]:
    name = f"{will.set.topic} (delay {will.set.delay}, session expiry {will.set.expiry})"
    if len(will.came_at) > 1 and not wills.may_come_twice(will):
        return [Fault("will twice", f"{name} came at {will.came_at}")]
    if will.ended_at is None:
        return _forbidden(will, f"{name}: the connection had not ended")
    if will.is_called_off:
        is_sure = wills.is_sure(will.ended_at, will.end_is_proved)
        return _forbidden(will, f"{name}: DISCONNECT had called it off") if is_sure else []
    earliest, latest = will.ended_since + will.wait, wills.serving_from(will.ended_at + will.wait)
    returned = will.returned
    if returned is not None and returned.at < latest:
        is_sure = wills.is_sure(returned.at, will.return_is_proved)
        if not returned.clean:
            if is_sure and returned.at < earliest - EARLY:
                return _forbidden(will, f"{name}: the client had come back to its session")
            return []
        earliest = min(earliest, will.first_return_at)
        latest = returned.at if is_sure else latest
    return _due(will, name, earliest - EARLY, latest + LATE, until)


def _forbidden(will: _Will, why: str) -> list[Fault]:
    return [Fault("will false", why)] if will.came_at else []


def _due(will: _Will, name: str, earliest: float, latest: float, until: float) -> list[Fault]:
    if not will.came_at:
        must_come = will.is_proved and until > latest
        return [Fault("will lost", f"{name} did not come")] if must_come else []
    came_at = will.came_at[0]
    if came_at < earliest:
        return [Fault("will early", f"{name} came {earliest - came_at:.2f} s too early")]
    if came_at > latest:
        return [Fault("will late", f"{name} came {came_at - latest:.2f} s too late")]
    return []
