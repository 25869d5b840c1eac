"""`python -m mqttwist.conform HOST:PORT`: checks a broker that runs, and says what it does not do."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from mqttwist.conform.page import page
from mqttwist.conform.registry import Check, checks
from mqttwist.conform.runner import Outcome, Verdict, run
from mqttwist.conform.sockets import SocketRig
from mqttwist.conform.statements import identifiers, statements
from mqttwist.conform.verdict import CheckFailed
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5

VERSIONS = {"5": MQTT_5, "311": MQTT_3_1_1}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; answers the exit status: 1 when a check failed, 2 when nothing could be checked."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.page:
        sys.stdout.write(page())
        return 0
    host, port = _address(parser, options.address or "")
    _refuse_unknown(parser, options.only)
    if trouble := _trouble(host, port):
        sys.stderr.write(f"{options.address} can't be checked: {trouble}\n")
        return 2
    totals: Counter[Verdict] = Counter()
    for version in [VERSIONS[options.version]] if options.version else VERSIONS.values():
        chosen = [one for one in checks(version) if not options.only or {*one.statements} & {*options.only}]
        outcomes = [_run(check, host, port, options.slow) for check in chosen]
        totals.update(_report(version, outcomes, options.only))
    if totals[Verdict.FAILED]:
        return 1
    if totals[Verdict.PASSED]:
        return 0
    sys.stderr.write("nothing was checked\n")
    return 2


def _trouble(host: str, port: int) -> str:
    """Why nothing can be checked there; nothing when a client is let in."""
    rig = SocketRig(MQTT_3_1_1, host, port)
    try:
        rig.connect()
        rig.clean_up()
    except (CheckFailed, OSError) as error:
        return str(error)
    return ""


def _address(parser: argparse.ArgumentParser, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
        parser.error("say where the broker listens: HOST:PORT")
    return host.strip("[]"), int(port)  # of an IPv6 address


def _refuse_unknown(parser: argparse.ArgumentParser, chosen: Sequence[str]) -> None:
    known = identifiers(MQTT_5) | identifiers(MQTT_3_1_1)
    if unknown := set(chosen) - known:
        parser.error(f"no such statement: {', '.join(sorted(unknown))}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mqttwist.conform",
        description="Checks a broker against the normative statements of MQTT 5.0 and 3.1.1. "
        "It must let everybody in, without a password, and must not be in use: much of what is sent to it is "
        "there to be refused. The exit status is 0 when all that was checked has passed, 1 when something "
        "has not, 2 when nothing could be checked.",
    )
    parser.add_argument("address", nargs="?", metavar="HOST:PORT", help="where the broker listens")
    parser.add_argument("--version", choices=sorted(VERSIONS), help="of one protocol version only")
    parser.add_argument(
        "--only", action="append", default=[], metavar="ID", help="of this statement only; may be repeated"
    )
    parser.add_argument("--slow", action="store_true", help="also the checks that wait for seconds")
    parser.add_argument(
        "--page", action="store_true", help="write docs/conformance.md to the standard output instead"
    )
    return parser


def _run(check: Check, host: str, port: int, slow: bool) -> Outcome:
    if check.slow and not slow:
        return Outcome(check, Verdict.SKIPPED, "it waits for seconds, and runs with --slow only")
    return run(check, SocketRig(check.version, host, port))


def _report(version: int, outcomes: Sequence[Outcome], only: Sequence[str]) -> dict[Verdict, int]:
    """A line for each statement that was checked, and a summary; answers how many statements came to what."""
    [name] = [name for name, one in VERSIONS.items() if one == version]
    counts = dict.fromkeys(Verdict, 0)
    for statement in statements(version):
        of_it = [one for one in outcomes if statement.identifier in one.check.statements]
        if of_it and (not only or statement.identifier in only):
            counts[_report_statement(statement.identifier, of_it)] += 1
    summary = ", ".join([f"{count} {verdict.value}" for verdict, count in counts.items()])
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


if __name__ == "__main__":
    sys.exit(main())
