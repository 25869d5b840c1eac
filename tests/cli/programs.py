"""Runs the commands as programs, ours and Mosquitto's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.interop.broker import CHECKOUT, PATIENCE

ENVIRONMENT = os.environ | {"PYTHONPATH": os.fspath(CHECKOUT), "TZ": "UTC"}


@dataclass(frozen=True)
class Outcome:
    """What a program wrote, and its exit status; what it wrote to its standard error does not count."""

    stdout: bytes
    status: int
    stderr: bytes = field(default=b"", compare=False)


def ours(command: str) -> list[str]:
    """Our command of that name."""
    return [sys.executable, "-m", "mqttwist", command]


def theirs(command: str) -> list[str]:
    """Mosquitto's."""
    return [f"mosquitto_{command}"]


def start(program: list[str], *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """The program in the background. It heeds SIGINT, even if whoever has started us does not."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [*program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT | environment,
    )


def finish(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> Outcome:
    """Wait for its end; it is killed when that does not come."""
    try:
        stdout, stderr = process.communicate(stdin, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"{process.args!r} goes on after {stdout!r}, {stderr!r}") from None
    return Outcome(stdout, process.returncode, stderr)


def run(program: list[str], *arguments: str, stdin: bytes = b"", **environment: str) -> Outcome:
    """The program to its end."""
    return finish(start(program, *arguments, **environment), stdin)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for something that a program does, without a word, to be done."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError("it does not happen")
        time.sleep(0.02)
