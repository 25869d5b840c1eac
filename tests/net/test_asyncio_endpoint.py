"""Listening by asyncio: the endpoint, its port, and the words it is made from."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mqttwist.net.asyncio_endpoint import (
    BACKLOG,
    AsyncioPort,
    AsyncioServerEndpoint,
    endpoint_from_words,
    loop_of,
)
from tests.interop.certificates import make_certificate
from tests.net.loops import HERE, LoopReactor, LoopTestCase, OnUvloop


class CountingFactory(Factory):
    """Knows whether a port uses it."""

    noisy = False
    protocol = Protocol

    def __init__(self) -> None:
        self.events: list[str] = []

    def startFactory(self) -> None:
        self.events.append("start")

    def stopFactory(self) -> None:
        self.events.append("stop")


class PortTests(LoopTestCase):
    def endpoint(self, port: int = 0, interface: str = HERE) -> AsyncioServerEndpoint:
        return AsyncioServerEndpoint(self.reactor, port, interface)

    def is_refused(self, port: Any) -> bool:
        """Whether nobody listens at the address of `port`."""
        try:
            socket.create_connection((port.getHost().host, port.getHost().port)).close()
        except ConnectionRefusedError:
            return True
        return False

    def test_interfaces(self) -> None:
        """Endpoint and port are what Twisted asks for."""
        endpoint = self.endpoint()
        verifyObject(IStreamServerEndpoint, endpoint)
        verifyObject(IListeningPort, AsyncioPort(endpoint, CountingFactory()))

    def test_listens_at_once(self) -> None:
        """The port is taken before the loop runs: a daemon may still be root then."""
        factory = CountingFactory()
        port: Any = self.successResultOf(self.endpoint().listen(factory))
        self.assertFalse(self.is_refused(port))
        self.assertEqual(factory.events, ["start"])
        self.successResultOf(port.stopListening())
        self.assertTrue(self.is_refused(port))
        self.assertEqual(factory.events, ["start", "stop"])
        self.successResultOf(port.stopListening())
        self.assertEqual(factory.events, ["start", "stop"])

    def test_stop(self) -> None:
        """A port that is closed takes nobody any more; connections live on."""

        async def run() -> None:
            client = await self.connected("a")
            (port,) = self.ports
            await self.wait(port.stopListening())
            self.assertTrue(self.is_refused(port))
            self.assertEqual(self.factory.numPorts, 0)
            self.assertFalse(client.reader.at_eof())

        self.run_on_loop(run())

    def test_stop_while_it_starts(self) -> None:
        """A port can be closed in the very turn of the loop in which it begins to accept."""

        async def run() -> None:
            factory = CountingFactory()
            for turns in range(4):
                port = await self.listen(factory)
                for _ in range(turns):
                    await asyncio.sleep(0)
                await self.wait(port.stopListening())
                self.assertTrue(self.is_refused(port))

        self.run_on_loop(run())

    def test_address_in_use(self) -> None:
        """A port that is taken is said at once, and the factory is not started."""
        factory = CountingFactory()
        with socket.create_server((HERE, 0)) as taken:
            number = taken.getsockname()[1]
            failure = self.failureResultOf(self.endpoint(number).listen(factory), CannotListenError)
        error: Any = failure.value
        self.assertEqual((error.interface, error.port), (HERE, number))
        self.assertEqual(factory.events, [])

    def test_no_address_before_it_listens(self) -> None:
        """A port that was never started has no address."""
        self.assertRaises(RuntimeError, AsyncioPort(self.endpoint(), CountingFactory()).getHost)

    def test_all_interfaces(self) -> None:
        """Without an interface it is all of IPv4, with `::` all of IPv6."""
        for interface, host in (("", "0.0.0.0"), ("::", "::")):
            port: Any = self.successResultOf(self.endpoint(interface=interface).listen(CountingFactory()))
            self.assertEqual(port.getHost().host, host)
            self.successResultOf(port.stopListening())

    def test_cannot_accept(self) -> None:
        """What asyncio has against the port, once it runs, is in the log; the port can be closed still."""

        async def run() -> None:
            with mock.patch.object(AsyncioServerEndpoint, "__init__", self.with_bad_context):
                await self.listen(CountingFactory())
            await self.until(lambda: "Cannot accept connections" in self.log())

        self.run_on_loop(run())
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    @staticmethod
    def with_bad_context(endpoint: Any, reactor: Any, port: int, interface: str) -> None:
        endpoint.loop, endpoint.port, endpoint.interface = loop_of(reactor), port, interface
        endpoint.backlog, endpoint.ssl_context = BACKLOG, True


class PortOnUvloopTests(OnUvloop, PortTests):
    """All of it on uvloop."""


class WordsTests(SynchronousTestCase):
    """`asyncio:...`, as the endpoint string is cut into words."""

    def setUp(self) -> None:
        loop = asyncio.SelectorEventLoop()
        self.addCleanup(loop.close)
        self.reactor = LoopReactor(loop)
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        self.key, self.certificate = make_certificate(Path(folder.name))

    def refused(self, *words: str, **options: str) -> str:
        """Why the words are refused, in one line."""
        line = str(self.assertRaises(ValueError, endpoint_from_words, self.reactor, *words, **options))
        self.assertNotIn("\n", line)
        return line

    def test_port(self) -> None:
        """A port is enough, as the first word or by its name."""
        for endpoint in (
            endpoint_from_words(self.reactor, "1883"),
            endpoint_from_words(self.reactor, port="1883"),
        ):
            self.assertEqual((endpoint.port, endpoint.interface, endpoint.backlog), (1883, "", BACKLOG))
            self.assertIsNone(endpoint.ssl_context)

    def test_all_arguments(self) -> None:
        """Interface, backlog, key and certificate."""
        options = {"privateKey": str(self.key), "certKey": str(self.certificate)}
        endpoint = endpoint_from_words(self.reactor, "8883", interface="::1", backlog="5", **options)
        self.assertEqual((endpoint.port, endpoint.interface, endpoint.backlog), (8883, "::1", 5))
        self.assertIsNotNone(endpoint.ssl_context)

    def test_key_and_certificate_in_one_file(self) -> None:
        """One file may hold both, and then either name does."""
        both = self.key.with_name("both.pem")
        both.write_bytes(self.key.read_bytes() + self.certificate.read_bytes())
        for name in ("privateKey", "certKey"):
            endpoint = endpoint_from_words(self.reactor, "0", **{name: str(both)})
            self.assertIsNotNone(endpoint.ssl_context)

    def test_bad_words(self) -> None:
        """Each is refused in words that name it."""
        for words, options, line in (
            (("x",), {}, "port must be 0..65535, not 'x'"),
            (("65536",), {}, "port must be 0..65535, not '65536'"),
            (("-1",), {}, "port must be 0..65535, not '-1'"),
            ((), {}, "it takes one port"),
            (("1", "2"), {}, "it takes one port"),
            (("1",), {"port": "2"}, "it takes one port"),
            (("1",), {"colour": "red"}, "colour is no argument of it"),
            (("1",), {"backlog": "many"}, "backlog must be 0..2147483647, not 'many'"),
        ):
            with self.subTest(words=words, options=options):
                self.assertEqual(self.refused(*words, **options), line)

    def test_bad_files(self) -> None:
        """So is a file that is missing, is no certificate, or holds another's key."""
        other_folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(other_folder.cleanup)
        other_key, _ = make_certificate(Path(other_folder.name))
        missing = str(self.key.with_name("missing.pem"))
        for key, certificate, words in (
            (str(self.key), missing, f"{missing} can't be read: No such file or directory"),
            (missing, str(self.certificate), f"{missing} can't be read: No such file or directory"),
            (str(self.key), str(self.key), f"{self.key} holds no certificate, or {self.key} no key for it"),
            (str(other_key), str(self.certificate), f"or {other_key} no key for it: KEY_VALUES_MISMATCH"),
        ):
            with self.subTest(words=words):
                self.assertIn(words, self.refused("1", privateKey=key, certKey=certificate))

    def test_encrypted_key(self) -> None:
        """A key with a pass phrase is refused; nobody is asked for it at a terminal."""
        key = load_pem_private_key(self.key.read_bytes(), None)
        locked = BestAvailableEncryption(b"secret")
        self.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
        line = self.refused("1", privateKey=str(self.key), certKey=str(self.certificate))
        self.assertEqual(line, f"the private key in {self.key} is encrypted")

    def test_another_reactor(self) -> None:
        """A reactor without asyncio is refused, with the way out."""
        error = self.assertRaises(RuntimeError, endpoint_from_words, Clock(), "1")
        expected = "Clock does not run on asyncio: start with --reactor=asyncio or --reactor=uvloop"
        self.assertEqual(str(error), expected)
