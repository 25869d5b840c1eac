"""The same client, end to end: our broker and Mosquitto, in each version, killed and started again."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

from mqttwist.aio import Client
from mqttwist.client.received import Received
from mqttwist.front.retry import Reconnecting
from mqttwist.wire.properties import Properties
from tests.interop.broker import PATIENCE, STARTED, BrokerProcess
from tests.interop.certificates import make_certificate

MOSQUITTO = shutil.which("mosquitto", path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin")
SOON = Reconnecting(0.02, 0.05)
VERSIONS = (5, "3.1.1", "3.1")


def free_port() -> int:
    """A port that was free a moment ago: a broker that is started again has to find its own."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


class OurBroker:
    """`twist mqtt` with a store, on a port and a UNIX socket that it has again when it is started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.options = [
            *("--listen", f"tcp:{self.port}:interface=127.0.0.1", "--listen", f"unix:{folder / 'socket'}"),
            *("--store", str(folder / "store.db")),
        ]
        self._brokers: list[BrokerProcess] = []

    def start(self) -> None:
        self._brokers.append(BrokerProcess(*self.options))
        self._brokers[-1].wait_for(STARTED)

    def kill(self) -> None:
        self._brokers[-1].process.kill()
        self._brokers[-1].process.wait()

    def close(self) -> None:
        for broker in self._brokers:
            broker.stop()


class MosquittoBroker:
    """`mosquitto`, which writes its store when it ends.

    What it has not sent yet then, because too much is under way to an MQTT 3.1.1 client, Mosquitto 2.0.11
    does not send after that: so much may be under way here that this does not happen.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
            f"persistence true\npersistence_location {folder}/\nautosave_interval 1\n"
            "autosave_on_changes true\nmax_inflight_messages 1000\n"
        )
        folder.chmod(0o777)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.01)
        raise AssertionError("mosquitto does not listen")

    def kill(self) -> None:
        """It is asked to end: what it has acknowledged is in its store only then."""
        self.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


class Scenes:
    """What must hold with each broker."""

    make: Any

    def setUp(self: Any) -> None:
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.broker = self.make(self.folder)
        self.addCleanup(self.broker.close)
        self.broker.start()

    def play(self, scene: Any) -> None:
        asyncio.run(asyncio.wait_for(scene, 3 * PATIENCE))

    def client(self: Any, **options: Any) -> Client:
        options.setdefault("reconnecting", SOON)
        return Client(f"127.0.0.1:{self.broker.port}", **options)

    def test_both_ways(self: Any) -> None:
        """Messages of every QoS go both ways in every version, to functions and to iterators."""

        async def scene(version: int | str) -> None:
            got: list[tuple[str, bytes, int]] = []
            client: Client = self.client(version=version, client_id=f"c{version}")

            @client.subscription("f/#", qos=2)
            async def take(received: Received) -> None:
                got.append((received.topic_name, received.payload, received.qos))

            async with client, client.subscribe("i/+", qos=2) as messages:
                for qos in (0, 1, 2):
                    await client.publish("f/x", b"%d" % qos, qos=qos)
                    await client.publish("i/x", b"%d" % qos, qos=qos)
                seen = [await anext(messages) for _ in range(3)]
                while len(got) < 3:
                    await asyncio.sleep(0.001)
            self.assertEqual(
                sorted((one.payload, one.qos) for one in seen), [(b"0", 0), (b"1", 1), (b"2", 2)]
            )
            self.assertEqual(sorted(got), [("f/x", b"%d" % qos, qos) for qos in (0, 1, 2)])

        for version in VERSIONS:
            with self.subTest(version=version):
                self.play(scene(version))

    def test_request(self: Any) -> None:
        """Requests are answered (4.10)."""

        async def scene() -> None:
            async with self.client(client_id="one") as client, self.client(client_id="two") as other:

                async def respond(asked: Received) -> None:
                    await other.respond(
                        asked, b"re: " + asked.payload, properties=Properties(content_type="a")
                    )

                await other.call_for("rpc", respond)
                answers = await asyncio.gather(
                    *[client.request("rpc", b"%d" % number, timeout=PATIENCE) for number in range(50)]
                )
                self.assertEqual(
                    [one.payload for one in answers], [b"re: %d" % number for number in range(50)]
                )

        self.play(scene())

    def test_restart(self: Any) -> None:
        """A broker that goes away in the middle and comes again costs nothing: each message is there."""

        async def scene(version: int | str) -> None:
            options = {"version": version, "session_expiry_interval": 1000, "retry_interval": 1.0}
            reader: Client = self.client(client_id=f"r{version}", **options)
            writer = self.client(client_id=f"w{version}", **options)
            got: list[bytes] = []

            async def take(received: Received) -> None:
                got.append(received.payload)

            subscription = reader.call_for("t", take, qos=2)
            numbers = [b"%d" % number for number in range(300)]
            async with reader, writer:
                await subscription
                outcomes = [writer.publish("t", one, qos=2) for one in numbers[:100]]
                while len(got) < 10:
                    await asyncio.sleep(0.001)
                await asyncio.to_thread(self.broker.kill)
                outcomes += [writer.publish("t", one, qos=2) for one in numbers[100:]]
                await asyncio.to_thread(self.broker.start)
                await asyncio.gather(*outcomes)
                while len(got) < len(numbers):
                    await asyncio.sleep(0.001)
                await reader.flushed()
            self.assertEqual(got, numbers)
            self.assertEqual((reader.stats.connections, writer.stats.sessions_lost), (2, 0))

        for version in (5, "3.1.1"):
            with self.subTest(version=version):
                self.play(scene(version))


class OurBrokerTests(Scenes, unittest.TestCase):
    make = OurBroker

    def test_unix(self) -> None:
        """A UNIX socket carries it as well."""

        async def scene() -> None:
            client = Client(f"unix:{self.folder / 'socket'}")
            async with client, client.subscribe("t") as messages:
                await client.publish("t", b"x", qos=2)
                self.assertEqual((await anext(messages)).payload, b"x")

        self.play(scene())

    def test_tls(self) -> None:
        """So does TLS, with a certificate that is checked."""
        key, certificate = make_certificate(self.folder)
        secure = BrokerProcess(
            "--listen", f"ssl:0:privateKey={key}:certKey={certificate}:interface=127.0.0.1"
        )
        self.addCleanup(secure.stop)
        secure.wait_for(STARTED)

        async def scene() -> None:
            trust = ssl.create_default_context(cafile=certificate)
            client = Client(f"mqtts://localhost:{secure.ports[0]}", tls=trust)
            async with client, client.subscribe("t") as messages:
                await client.publish("t", bytes(1_000_000), qos=1)
                self.assertEqual(len((await anext(messages)).payload), 1_000_000)

        self.play(scene())
        secure.wait_for("disconnected")
        self.assertEqual(secure.faults, [])


@unittest.skipIf(MOSQUITTO is None, "mosquitto is not installed")
class MosquittoTests(Scenes, unittest.TestCase):
    make = MosquittoBroker
