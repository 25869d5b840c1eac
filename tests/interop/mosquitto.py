"""Mosquitto's command line clients, and its broker for the bridge."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any
from unittest import TestCase

from tests.interop.broker import PATIENCE, BrokerProcess
from tests.interop.clients import MQTT_3_1, MQTT_3_1_1, MQTT_5

VERSIONS = {MQTT_3_1: "31", MQTT_3_1_1: "311", MQTT_5: "5"}


def why_missing(*programs: str) -> str | None:
    """Which of `programs` is not installed; None if all are."""
    missing = [program for program in programs if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


@dataclass
class Mosquitto:
    """Runs Mosquitto's clients against `broker` with protocol `version`, on behalf of `test`.

    With a `port` they go there instead: to a bridge, say.
    """

    test: TestCase
    broker: BrokerProcess
    version: int
    port: int = 0

    def _command(self, program: str, *arguments: str) -> list[str]:
        port = str(self.port or self.broker.ports[0])
        return [program, "-h", "127.0.0.1", "-p", port, "-V", VERSIONS[self.version], *arguments]

    def pub(self, *arguments: str, stdin: bytes = b"", status: int = 0) -> str:
        """`mosquitto_pub`: what it wrote, once it has ended with the expected status."""
        return self._run("mosquitto_pub", *arguments, stdin=stdin, status=status)

    def sub(self, *arguments: str, status: int = 0) -> str:
        """`mosquitto_sub` to its end."""
        return self._run("mosquitto_sub", *arguments, status=status)

    def _run(self, program: str, *arguments: str, stdin: bytes = b"", status: int = 0) -> str:
        done = subprocess.run(
            self._command(program, *arguments),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
        output = done.stdout.decode("utf-8", "replace")
        self.test.assertEqual(done.returncode, status, f"{program} {arguments}: {output}\n{self.broker.log}")
        return output

    def start_sub(self, client_id: str, *arguments: str) -> Subscriber:
        """`mosquitto_sub` in the background, once it has subscribed."""
        return self._start("mosquitto_sub", client_id, *arguments)

    def start_rr(self, client_id: str, *arguments: str) -> Subscriber:
        """`mosquitto_rr` in the background, once it waits for the answer."""
        return self._start("mosquitto_rr", client_id, *arguments)

    def _start(self, program: str, client_id: str, *arguments: str) -> Subscriber:
        process = subprocess.Popen(
            self._command(program, "-i", client_id, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        subscriber = Subscriber(process, self.broker)
        self.test.addCleanup(subscriber.close)
        self.broker.wait_for(f"'{client_id}' subscribed to")
        return subscriber


@dataclass
class Subscriber:
    """A `mosquitto_sub` that runs."""

    process: subprocess.Popen[bytes]
    broker: BrokerProcess

    def output(self) -> bytes:
        """What it wrote; it must end by itself (`-C`, `-W`)."""
        try:
            output, _ = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, _ = self.process.communicate()
            raise AssertionError(f"it goes on after {output!r}; the broker:\n{self.broker.log}") from None
        return output

    def messages(self) -> list[dict[str, Any]]:
        """What it received, when run with ``-F %j``."""
        return [json.loads(line) for line in self.output().decode().splitlines()]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=PATIENCE)
