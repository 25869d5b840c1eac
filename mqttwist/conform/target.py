"""The broker that is checked, and a run of checks on it that ends when the broker does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mqttwist.conform.registry import Check
from mqttwist.conform.report import show_progress
from mqttwist.conform.rig import NOBODY, Credentials, Rig
from mqttwist.conform.runner import Outcome, Verdict, run
from mqttwist.conform.sockets import SocketRig
from mqttwist.conform.statements import VERSION_NAMES
from mqttwist.conform.verdict import CheckFailed


class Unreachable(Exception):
    """The broker cannot be reached, or does not let a client in; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A broker that runs, and as whom the checks log in there."""

    host: str
    port: int
    credentials: Credentials = NOBODY

    def rig(self, version: int) -> Rig:
        """A rig for one check of protocol `version`."""
        return SocketRig(version, self.host, self.port, self.credentials)

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
