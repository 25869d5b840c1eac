"""Runs checks, and says what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mqttwist.conform.registry import Check
from mqttwist.conform.rig import Rig
from mqttwist.conform.verdict import CheckFailed, NotApplicable
from mqttwist.conform.virtual import VirtualBroker, VirtualRig


class Verdict(Enum):
    PASSED = "passed"
    FAILED = "FAILED"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`detail` says why a check failed or was skipped."""

    check: Check
    verdict: Verdict
    detail: str = ""


def run(check: Check, rig: Rig) -> Outcome:
    """Run `check` on a `rig` of its own, and have the rig tidied up."""
    outcome = Outcome(check, Verdict.PASSED)
    try:
        check.run(rig)
    except NotApplicable as reason:
        outcome = Outcome(check, Verdict.SKIPPED, str(reason))
    except (CheckFailed, OSError) as error:
        outcome = Outcome(check, Verdict.FAILED, str(error))
    try:
        rig.clean_up()
    except (CheckFailed, OSError) as error:
        if outcome.verdict is Verdict.PASSED:
            outcome = Outcome(check, Verdict.FAILED, f"when all was done: {error}")
    return outcome


def run_virtually(check: Check) -> Outcome:
    """Run `check` on virtual time, against a broker of its own."""
    return run(check, VirtualRig(check.version, VirtualBroker(check.settings)))
