"""`sub --stats`: how many messages come, how regularly, and how old they are."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TextIO

from mqttwist.cli.histogram import Histogram
from mqttwist.client.received import Received

INTERVAL = 1.0  # seconds between two lines
LONGEST_PAYLOAD = 65_536  # bytes of JSON that are looked into


class SubscriberStats:
    """Takes the place of `Output`: a line each second in which something has come.

    A gap is the time between two messages. A message has an age if its payload is a JSON object whose `ts` is
    the time when it was sent: seconds (or milliseconds) since 1970.
    """

    def __init__(
        self,
        stdout: TextIO | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._stdout = stdout
        self._monotonic = monotonic
        self._now = now
        self._last: float | None = None
        self._total = 0
        self._begin(monotonic())

    def _begin(self, at: float) -> None:
        self._since = at
        self._messages = 0
        self._bytes = 0
        self._gaps = Histogram()
        self._ages = Histogram()

    def show(self, received: Received) -> None:
        """Count a message. Raises `BrokenPipeError` if nobody reads."""
        at = self._monotonic()
        if self._messages and at - self._since >= INTERVAL:
            self._write(at)
        self._messages += 1
        self._total += 1
        self._bytes += received.publish.payload_size
        if self._last is not None:
            self._gaps.record(round((at - self._last) * 1e6))
        self._last = at
        sent = sent_at(received.payload)
        if sent is not None:
            self._ages.record(round((self._now() - sent) * 1e6))

    def finish(self) -> None:
        """Write what has not been written. Raises `BrokenPipeError`."""
        if self._messages:
            self._write(self._monotonic())

    def _write(self, at: float) -> None:
        seconds = max(at - self._since, 1e-9)
        line = (
            f"{self._messages / seconds:.1f} messages/s, {self._bytes / seconds:.0f} bytes/s, "
            f"{self._total} in all; gap {_spread(self._gaps)}"
        )
        if self._ages.count:
            line += f"; latency {_spread(self._ages)}"
        stdout = self._stdout or sys.stdout
        stdout.write(line + "\n")
        stdout.flush()
        self._begin(at)


def _spread(histogram: Histogram) -> str:
    p50, p99 = histogram.percentiles((50.0, 99.0))
    return f"p50 {p50 / 1000:.3f} p99 {p99 / 1000:.3f} max {histogram.maximum / 1000:.3f} ms"


def sent_at(payload: bytes) -> float | None:
    """The `ts` of a payload in seconds since 1970; None if it has none."""
    if not payload.startswith(b"{") or len(payload) > LONGEST_PAYLOAD:
        return None
    try:
        found = json.loads(payload).get("ts")
    except (ValueError, RecursionError):
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return found / 1000 if found > 1e11 else float(found)
