"""Brokers of others, started on a free port of the loopback interface for one test.

Mosquitto is taken from the `PATH`, amqtt from the Python that `MQTTWIST_AMQTT` names, Aedes from the folder
that `MQTTWIST_AEDES` names (`npm install --prefix DIR aedes`).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PATIENCE = 20.0  # seconds

MOSQUITTO = "listener {port} 127.0.0.1\nallow_anonymous true\n"

AMQTT = """
import asyncio
from amqtt.broker import Broker

config = {{
    "listeners": {{"default": {{"type": "tcp", "bind": "127.0.0.1:{port}"}}}},
    # A client with a User Name: it keeps no session for others.
    "plugins": {{"amqtt.plugins.authentication.AnonymousAuthPlugin": {{"allow_anonymous": False}}}},
}}

async def main():
    broker = Broker(config)
    await broker.start()
    await asyncio.Event().wait()

asyncio.run(main())
"""

AEDES = """
import net from 'node:net'
import {{ Aedes }} from '{folder}/node_modules/aedes/aedes.js'

const aedes = await Aedes.createBroker()
net.createServer(aedes.handle).listen({port}, '127.0.0.1')
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def why_missing(name: str) -> str | None:
    """Why a broker can't be started here; None if it can."""
    if name == "mosquitto":
        return None if shutil.which("mosquitto") else "mosquitto is not installed"
    variable = f"MQTTWIST_{name.upper()}"
    return None if os.environ.get(variable) else f"{variable} is not set"


class ForeignBroker:
    """`name` is mosquitto, amqtt or aedes; `port` is where it listens once the constructor is done."""

    def __init__(self, name: str) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="mqttwist-foreign-")
        self._log = Path(self._folder.name, "log").open("wb")  # noqa: SIM115 - until `stop`
        self._process = subprocess.Popen(
            self._command(name), stdout=self._log, stderr=subprocess.STDOUT, cwd=self._folder.name
        )
        deadline = time.monotonic() + PATIENCE
        while not self._listens():
            if time.monotonic() > deadline or self._process.poll() is not None:
                log = Path(self._log.name).read_text("utf-8", "replace")
                self.stop()
                raise RuntimeError(f"{name} does not listen: {log[-2000:]}")
            time.sleep(0.05)

    def _command(self, name: str) -> list[str]:
        if name == "mosquitto":
            return ["mosquitto", "-c", self._write("mosquitto.conf", MOSQUITTO)]
        if name == "amqtt":
            return [os.environ["MQTTWIST_AMQTT"], self._write("broker.py", AMQTT)]
        return ["node", self._write("broker.mjs", AEDES, folder=os.environ["MQTTWIST_AEDES"])]

    def _write(self, file: str, text: str, **facts: str) -> str:
        path = Path(self._folder.name, file)
        path.write_text(text.format(port=self.port, **facts), "utf-8")
        return os.fspath(path)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()
        self._folder.cleanup()
