"""`python -m mqttwist`: `--version` says what is installed, `store` looks into the file of a store."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from typing import TextIO

from mqttwist import __version__
from mqttwist.build import BUILD
from mqttwist.stores.sqlite import command


def main(arguments: Sequence[str], stdout: TextIO, stderr: TextIO) -> int:
    """Do what the command line says; returns the exit status.

    Raises `SystemExit` for `--help`, `--version` and, with status 2, a wrong command line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m mqttwist", description="The broker itself is run by `twistd mqtt`."
    )
    version = f"mqttwist {__version__} ({BUILD}, Python {platform.python_version()})"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", metavar="store")
    command.add_commands(commands.add_parser("store", help="verify or print what a broker keeps"))
    options = parser.parse_args(arguments)
    if options.command == "store":
        return command.run(options.action, options.path, stdout, stderr)
    parser.print_help(stdout)
    return 0


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:], sys.stdout, sys.stderr)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a dump had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 2
    sys.exit(status)
