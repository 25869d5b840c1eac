"""The broker under test: a process of its own, started for one test and stopped with it."""

from __future__ import annotations

import atexit
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from functools import cached_property
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0  # seconds that anything may take which is expected to happen
LOCAL_TCP = "tcp:0:interface=127.0.0.1"
STARTED = "Starting reactor"
LISTENING = re.compile(r"Listening on 127\.0\.0\.1:(\d+)$")
FAULTS = ("Traceback", "Unhandled", "Error in the broker", "#critical", "#error")


class BrokerProcess:
    """`twist mqtt` with `options`, listening on free ports of loopback; its log is kept line by line.

    It runs in a folder of its own, where its store is.
    """

    def __init__(self, *options: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        environment = os.environ | {"PYTHONPATH": os.fspath(CHECKOUT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "twisted", "--log-format", "text", "mqtt", *options],
            cwd=self._folder.name,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self._lines: list[str] = []
        self._log_ended = False
        self._asked_to_stop = False
        self._grown = threading.Condition()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                with self._grown:
                    self._lines.append(line.rstrip("\n"))
                    self._grown.notify_all()
        with self._grown:
            self._log_ended = True
            self._grown.notify_all()

    @property
    def log(self) -> str:
        """All that the broker has logged so far."""
        with self._grown:
            return "\n".join(self._lines)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until the log holds `text` in at least so many lines."""

        def is_there() -> bool:
            return sum(text in line for line in self._lines) >= times

        with self._grown:
            self._grown.wait_for(lambda: self._log_ended or is_there(), PATIENCE)
            found = is_there()
        if not found:
            raise AssertionError(f"{text!r} is not {times} times in the broker's log:\n{self.log}")

    @property
    def ports(self) -> list[int]:
        """The TCP ports the broker listens on, in the order of its options."""
        with self._grown:
            found = [LISTENING.search(line) for line in self._lines]
        return [int(match[1]) for match in found if match is not None]

    @property
    def faults(self) -> list[str]:
        """What must not be in a broker's log."""
        with self._grown:
            return [line for line in self._lines if any(fault in line for fault in FAULTS)]

    def ask_to_stop(self) -> None:
        """The orderly way: SIGTERM, once; a second one while Twisted stops is an error in its log."""
        if not self._asked_to_stop:
            self._asked_to_stop = True
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Stop, if that has not happened yet; the exit status. A broker that does not obey is killed."""
        self.ask_to_stop()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self._reader.join(PATIENCE)
            self._folder.cleanup()


class NextBroker:
    """Has the broker of the next test come up while the test before it runs."""

    options = ("--port", "0")

    def __init__(self) -> None:
        self._next: BrokerProcess | None = None

    def take(self) -> BrokerProcess:
        """A broker with `options`; the caller stops it."""
        broker = self._next or self._start()
        self._next = self._start()
        return broker

    def _start(self) -> BrokerProcess:
        broker = BrokerProcess(*self.options)
        atexit.register(broker.stop)  # for the one that nobody takes
        return broker


NEXT_BROKER = NextBroker()


class BrokerTestCase(unittest.TestCase):
    """Gives each test a broker of its own, and looks through the broker's log when the test is over."""

    @cached_property
    def broker(self) -> BrokerProcess:
        """The broker of this test, started when it is asked for."""
        return self._use(NEXT_BROKER.take())

    @property
    def port(self) -> int:
        """The first port of the broker."""
        return self.broker.ports[0]

    def start_broker(self, *options: str) -> BrokerProcess:
        """A broker of the test's own making."""
        return self._use(BrokerProcess(*options))

    def _use(self, broker: BrokerProcess) -> BrokerProcess:
        self.addCleanup(self._stop_broker, broker)
        broker.wait_for(STARTED)
        return broker

    def _stop_broker(self, broker: BrokerProcess) -> None:
        status = broker.stop()
        self.assertEqual(broker.faults, [], f"the broker's log:\n{broker.log}")
        self.assertIn(status, (0, -signal.SIGTERM), f"the broker did not stop in order:\n{broker.log}")
        self.assertIn("mqttwist stops", broker.log)
