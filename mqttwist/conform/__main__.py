"""`python -m mqttwist.conform HOST:PORT`: checks a broker that runs, and says what it does not do."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

from mqttwist.conform.page import page
from mqttwist.conform.registry import checks
from mqttwist.conform.report import report, show_progress
from mqttwist.conform.rig import Credentials
from mqttwist.conform.runner import Outcome, Verdict
from mqttwist.conform.statements import identifiers
from mqttwist.conform.target import Target, Unreachable
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5

VERSIONS: Final = {"5": MQTT_5, "311": MQTT_3_1_1}
PASSWORD_VARIABLE: Final = "MQTT_PASSWORD"

ALL_PASSED, SOMETHING_FAILED, NOTHING_CHECKED, INTERRUPTED = 0, 1, 2, 130  # exit statuses


def main(arguments: Sequence[str] | None = None, program: str = "python -m mqttwist.conform") -> int:
    """The command line; answers the exit status. The help calls us `program`."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    if options.page:
        sys.stdout.write(page())
        return 0
    target = Target(*_address(parser, options.address or ""), _credentials(parser, options))
    _refuse_unknown(parser, options.only)
    totals: Counter[Verdict] = Counter()
    for name in [options.version] if options.version else VERSIONS:
        status = _check_version(target, name, options, totals)
        if status:
            return status
    if totals[Verdict.FAILED]:
        return SOMETHING_FAILED
    if totals[Verdict.PASSED]:
        return ALL_PASSED
    sys.stderr.write("nothing was checked\n")
    return NOTHING_CHECKED


def _check_version(target: Target, name: str, options: argparse.Namespace, totals: Counter[Verdict]) -> int:
    """Check one protocol version, report it and add it to `totals`; not 0 when it was cut short."""
    version = VERSIONS[name]
    chosen = [one for one in checks(version) if not options.only or {*one.statements} & {*options.only}]
    outcomes: list[Outcome] = []
    status, said = 0, ""
    try:
        target.look(version)
        for outcome in target.measured(version).run_all(chosen, options.slow):
            outcomes.append(outcome)
    except Unreachable as trouble:
        status, said = NOTHING_CHECKED, f"{trouble}\n"
    except KeyboardInterrupt:
        status, said = INTERRUPTED, f"interrupted after {len(outcomes)} of {len(chosen)} checks\n"
    show_progress()
    if outcomes or not status:
        totals.update(report(version, name, outcomes, options.only))
    sys.stdout.flush()  # before what is said of it
    sys.stderr.write(said)
    return status


def _address(parser: argparse.ArgumentParser, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
        parser.error("say where the broker listens: HOST:PORT")
    return host.strip("[]"), int(port)  # of an IPv6 address


def _credentials(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Credentials:
    if options.username is None:
        if options.password is not None:
            parser.error("--password needs --username")
        return None, None
    password = options.password
    if password is None:
        password = os.environ.get(PASSWORD_VARIABLE)
    return options.username, None if password is None else os.fsencode(password)


def _refuse_unknown(parser: argparse.ArgumentParser, chosen: Sequence[str]) -> None:
    known = identifiers(MQTT_5) | identifiers(MQTT_3_1_1)
    if unknown := set(chosen) - known:
        parser.error(f"no such statement: {', '.join(sorted(unknown))}")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Checks a broker against the normative statements of MQTT 5.0 and 3.1.1. "
        "It must not be in use: much of what is sent to it is there to be refused. The exit status is 0 when "
        "all that was checked has passed, 1 when something has not, 2 when nothing could be checked or the "
        "broker has gone, 130 after Ctrl-C.",
    )
    parser.add_argument("address", nargs="?", metavar="HOST:PORT", help="where the broker listens")
    parser.add_argument("--version", choices=sorted(VERSIONS), help="of one protocol version only")
    parser.add_argument(
        "--only", action="append", default=[], metavar="ID", help="of this statement only; may be repeated"
    )
    parser.add_argument("--slow", action="store_true", help="also the checks that wait for seconds")
    parser.add_argument("--username", metavar="NAME", help="log in with this user name")
    parser.add_argument(
        "--password",
        metavar="WORD",
        help="and this password, which others may see in the list of processes; "
        f"better is {PASSWORD_VARIABLE} in the environment",
    )
    parser.add_argument(
        "--page", action="store_true", help="write docs/conformance.md to the standard output instead"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
