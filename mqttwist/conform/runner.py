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
    """`detail` says why a check failed or was skipped, or what would be better although it has passed."""

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
    except Exception as error:
        outcome = Outcome(check, Verdict.FAILED, _words(error))
    try:
        rig.clean_up()
    except Exception as error:
        if outcome.verdict is Verdict.PASSED:
            outcome = Outcome(check, Verdict.FAILED, f"when all was done: {_words(error)}")
    if outcome.verdict is Verdict.PASSED and rig.remarks:
        outcome = Outcome(check, Verdict.PASSED, f"allowed; recommended is {', '.join(rig.remarks)}")
    return outcome


def _words(error: Exception) -> str:
    """What went wrong; an answer that a check did not think of must not end all the others."""
    return str(error) if isinstance(error, CheckFailed | OSError) else f"{type(error).__name__}: {error}"


def run_virtually(check: Check) -> Outcome:
    """Run `check` on virtual time, against a broker of its own."""
    return run(check, VirtualRig(check.version, VirtualBroker(check.settings)))
