"""The broker that is checked, and a run of checks on it that ends when the broker does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic

from mqttwist.conform.client import Client
from mqttwist.conform.registry import Check
from mqttwist.conform.report import show_progress
from mqttwist.conform.rig import NOBODY, Credentials, Rig
from mqttwist.conform.runner import Outcome, Verdict, run
from mqttwist.conform.sockets import SocketRig
from mqttwist.conform.statements import VERSION_NAMES
from mqttwist.conform.verdict import CheckFailed

PROBES = 10  # messages that the lag is measured with
LEAST_LAG = 0.02  # seconds, when there is any
MARGIN = 4  # how many times the longest one that was measured


class Unreachable(Exception):
    """The broker cannot be reached, or does not let a client in; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A broker that runs, as whom the checks log in there, and the `lag` of `SocketRig`."""

    host: str
    port: int
    credentials: Credentials = NOBODY
    lag: float = 0.0

    def rig(self, version: int) -> Rig:
        """A rig for one check of protocol `version`."""
        return SocketRig(version, self.host, self.port, self.credentials, self.lag)

    def look(self, version: int, when: str = "") -> None:
        """Raise `Unreachable`, which says `when` that was, unless a client of `version` is let in."""
        try:
            rig = self.rig(version)
            rig.connect()
            rig.clean_up()
        except (CheckFailed, OSError) as error:
            host = f"[{self.host}]" if ":" in self.host else self.host
            what = f"{host}:{self.port} can't be checked for {VERSION_NAMES[version]}"
            raise Unreachable(f"{what}{when}: {error}") from error

    def measured(self, version: int) -> Target:
        """The same broker, and its lag: that of QoS 2 messages, to a client that is there or comes back."""
        rig, longest = self.rig(version), 0.0
        try:
            publisher, client = rig.connect(), rig.connect(persistent=True)
            client.subscribe(rig.topic(), 2)
            for number in range(PROBES):
                if number % 2:
                    client.drop()
                publisher.publish(rig.topic(), b"probe", 2)
                if number % 2:
                    client = rig.connect(client.client_id, clean_start=False, persistent=True)
                longest = max(longest, _seconds_after_pingresp(client))
        except (CheckFailed, OSError):
            longest = 0.0  # the checks will tell more of it
        with suppress(CheckFailed, OSError):
            rig.clean_up()
        return replace(self, lag=max(LEAST_LAG, MARGIN * longest) if longest else 0.0)

    def run_all(self, chosen: Sequence[Check], with_slow: bool) -> Iterator[Outcome]:
        """What comes of each check, one after the other; the slow ones are skipped unless `with_slow`.

        When one fails, it is looked whether the broker is still there. If it is not, that is no outcome of
        the check, and `Unreachable` is raised.
        """
        for number, check in enumerate(chosen, 1):
            if check.slow and not with_slow:
                yield Outcome(check, Verdict.SKIPPED, "it waits for seconds, and runs with --slow only")
                continue
            show_progress(f"{number}/{len(chosen)} {check.name}")
            outcome = run(check, self.rig(check.version))
            if outcome.verdict is Verdict.FAILED:
                self.look(check.version, f" any further, after {check.name}")
            yield outcome


def _seconds_after_pingresp(client: Client) -> float:
    """How long after the answer to a PINGREQ the message comes that was sent before; 0 if it is there."""
    client.settle()
    if client.has_message():
        client.message()
        return 0.0
    began = monotonic()
    client.message()
    return monotonic() - began
