"""The command `mqttwist`, `python -m mqttwist` as well: which subcommand is meant, and what it needs.

`passwd`, `store`, `conform` and `--version` need nothing that the broker does not. `pub`, `sub`, `rr` and
`bench` need click, which the extra `cli` brings. Each is imported when it is asked for.
"""

from __future__ import annotations

import argparse
import getpass
import os
import platform
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, TextIO

from mqttwist import __version__
from mqttwist.build import BUILD

# With click, and where they are.
CLIENT_COMMANDS: Final = {
    "pub": "publish messages, as mosquitto_pub does",
    "sub": "subscribe and print messages, as mosquitto_sub does",
    "rr": "publish a request and print its response, as mosquitto_rr does",
    "bench": "measure a broker: rate and latency",
}
OTHER_COMMANDS: Final = {
    "passwd": "change the password file of a broker",
    "conform": "check a broker against the specifications",
}
NO_CLICK: Final = "mqttwist {command} needs click: pip install 'mqttwist[cli]'\n"


def main(arguments: Sequence[str], stdout: TextIO, stderr: TextIO) -> int:
    """Do what the command line says; returns the exit status.

    Raises `SystemExit` for `--help`, `--version` and, with status 2, a wrong command line.
    """
    name, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if name in CLIENT_COMMANDS:
        return _run_client(name, rest, stderr)
    if name == "passwd":
        from mqttwist import passwd

        return passwd.main(rest, sys.stdin.buffer, stderr, getpass.getpass, "mqttwist passwd")
    if name == "conform":
        from mqttwist.conform.__main__ import main as conform

        return conform(rest, "mqttwist conform")
    from mqttwist.stores.sqlite import command

    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "store":
        return command.run(options.action, options.path, stdout, stderr)
    parser.print_help(stdout)
    return 0


def _run_client(name: str, arguments: list[str], stderr: TextIO) -> int:
    """A command of click's. It ends by `SystemExit`, whatever comes of it."""
    try:
        import click
    except ImportError:
        stderr.write(NO_CLICK.format(command=name))
        return 1
    found = getattr(import_module(f"mqttwist.cli.{name}"), name)
    assert isinstance(found, click.Command)
    status: object = found.main(arguments, prog_name=f"mqttwist {name}")
    return status if isinstance(status, int) else 0


def _parser() -> argparse.ArgumentParser:
    from mqttwist.stores.sqlite import command

    parser = argparse.ArgumentParser(
        prog="mqttwist", description="The broker itself is run by `twistd mqtt`."
    )
    version = f"mqttwist {__version__} ({BUILD}, Python {platform.python_version()})"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, text in (CLIENT_COMMANDS | OTHER_COMMANDS).items():  # which do not come here
        commands.add_parser(name, help=text)
    command.add_commands(commands.add_parser("store", help="verify or print what a broker keeps"))
    return parser


def run() -> None:
    """The program, to its end."""
    try:
        status = main(sys.argv[1:], sys.stdout, sys.stderr)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a dump had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 2
    sys.exit(status)


if __name__ == "__main__":
    run()
