"""What the command prints: a line for each statement, and a summary of each protocol version."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from mqttwist.conform.runner import Outcome, Verdict
from mqttwist.conform.statements import statements

WIDTH = 79  # of the line that tells how far it is


def report(version: int, name: str, outcomes: Sequence[Outcome], only: Sequence[str]) -> Counter[Verdict]:
    """Write of each statement that was checked what came of it; answers how many came to what.

    `name` is what the command calls protocol `version`; `only` names the statements that are asked for, if
    not all are.
    """
    counts: Counter[Verdict] = Counter()
    for statement in statements(version):
        of_it = [one for one in outcomes if statement.identifier in one.check.statements]
        if of_it and (not only or statement.identifier in only):
            counts[_report_statement(statement.identifier, of_it)] += 1
    summary = ", ".join([f"{counts[verdict]} {verdict.value}" for verdict in Verdict])
    sys.stdout.write(f"version {name}: {summary}, of {len(statements(version))} statements\n")
    return counts


def _report_statement(identifier: str, outcomes: Sequence[Outcome]) -> Verdict:
    verdict = _worst(outcomes)
    first = next(one for one in outcomes if one.verdict is verdict)
    sys.stdout.write(f"{identifier:15} {verdict.value:7}  {first.check.sentence}\n")
    for one in outcomes:
        if one.detail:
            sys.stdout.write(f"{'':25}{one.check.function}: {one.detail}\n")
    return verdict


def _worst(outcomes: Sequence[Outcome]) -> Verdict:
    """A statement holds when all of its checks that ran have passed."""
    verdicts = {one.verdict for one in outcomes}
    for verdict in (Verdict.FAILED, Verdict.PASSED):
        if verdict in verdicts:
            return verdict
    return Verdict.SKIPPED


def show_progress(text: str = "") -> None:
    """Show `text` in the last line of the terminal, in the place of what stood there; nothing elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text[:WIDTH]:{WIDTH}}" + ("" if text else "\r"))
        sys.stderr.flush()
