"""What a Twisted protocol sees of TLS that asyncio does."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import INegotiated, ITCPTransport
from zope.interface.verify import verifyObject

from mqttwist.net.asyncio_endpoint import server_context
from tests.interop.certificates import make_certificate
from tests.net.loops import HERE, PATIENCE, Client, OnUvloop
from tests.net.recorder import MUCH, Recorder, RecorderFactory, TransportTestCase


class TLSTests(TransportTestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        self.key, self.certificate = map(str, make_certificate(Path(folder.name)))
        self.server = server_context(self.certificate, self.key)
        self.trust = ssl.create_default_context(cafile=self.certificate)

    async def tls_pair(self) -> tuple[Recorder, Any, Client]:
        return await self.pair(
            port={"ssl_context": self.server}, context=self.trust, server_hostname="localhost"
        )

    def test_round_trip(self) -> None:
        """Bytes go both ways, and the transport says that it is TLS."""

        async def run() -> None:
            self.server.set_alpn_protocols(["mqtt"])
            self.trust.set_alpn_protocols(["mqtt"])
            protocol, transport, client = await self.tls_pair()
            client.writer.write(b"there")
            await self.until(lambda: protocol.received == b"there")
            transport.write(b"and back")
            self.assertEqual(await client.reader.readexactly(8), b"and back")
            verifyObject(INegotiated, transport)
            verifyObject(ITCPTransport, transport)
            self.assertEqual(transport.negotiatedProtocol, b"mqtt")
            self.assertIsNone(transport.getPeerCertificate())

        self.run_on_loop(run())

    def test_certificate_of_the_client(self) -> None:
        """A client that shows a certificate can be known by it."""

        async def run() -> None:
            self.server.verify_mode = ssl.CERT_REQUIRED
            self.server.load_verify_locations(self.certificate)
            self.trust.load_cert_chain(self.certificate, self.key)
            _, transport, _ = await self.tls_pair()
            certificate = transport.getPeerCertificate().to_cryptography()
            self.assertEqual(certificate.subject.rfc4514_string(), "CN=localhost")
            self.assertIsNone(transport.negotiatedProtocol)

        self.run_on_loop(run())

    def test_close(self) -> None:
        """Either way of closing sends all, and then TLS's own farewell: TLS has no halves."""

        async def run(close: str) -> None:
            protocol, transport, client = await self.tls_pair()
            transport.write(MUCH)
            getattr(transport, close)()
            transport.write(b"too late")
            self.assertEqual(await client.reader.read(-1), MUCH)
            self.assertIsInstance(await self.end(protocol), ConnectionDone)
            self.ports.pop().stopListening()

        for close in ("loseConnection", "loseWriteConnection"):
            self.run_on_loop(run(close))

    def test_last_words(self) -> None:
        """A client that still talks reads our last words and the farewell: no reset overtakes them."""
        heard = b""

        def talk(port: int) -> None:
            nonlocal heard
            plain = socket.create_connection((HERE, port), PATIENCE)
            with self.trust.wrap_socket(
                plain, server_hostname="localhost", suppress_ragged_eofs=False
            ) as client:
                for _ in range(5):
                    client.sendall(b"word")
                    time.sleep(0.02)
                while part := client.recv(100):
                    heard += part

        async def run() -> None:
            factory = RecorderFactory()
            port: Any = await self.listen(factory, ssl_context=self.server)
            talking = self.loop.run_in_executor(None, talk, port.getHost().port)
            await self.until(lambda: factory.made is not None and factory.made.received)
            assert factory.made is not None
            transport: Any = factory.made.transport
            transport.write(b"last words")
            transport.loseConnection()
            await talking
            self.assertEqual(heard, b"last words")
            self.assertIsInstance(await self.end(factory.made), ConnectionDone)

        self.run_on_loop(run())

    def test_closed_twice(self) -> None:
        """To close again changes nothing, and an end can still be put to it when the peer does not read."""

        async def run() -> None:
            protocol, transport, _ = await self.tls_pair()
            transport.write(MUCH)
            transport.loseConnection()
            transport.loseConnection()
            transport.abortConnection()
            self.assertIsInstance(await self.end(protocol), ConnectionAborted)

        self.run_on_loop(run())

    def test_closed_by_the_peer(self) -> None:
        """The client's farewell is ConnectionDone."""

        async def run() -> None:
            protocol, _, client = await self.tls_pair()
            client.writer.close()
            self.assertIsInstance(await self.end(protocol), ConnectionDone)

        self.run_on_loop(run())

    def test_too_late(self) -> None:
        """Who has not shaken hands when the port is closed is turned away after it; no protocol sees it."""

        async def run() -> None:
            factory = RecorderFactory()
            port: Any = await self.listen(factory, ssl_context=self.server)
            plain = socket.create_connection((HERE, port.getHost().port), PATIENCE)
            await asyncio.sleep(0.05)  # it is accepted
            await self.wait(port.stopListening())
            plain.setblocking(False)
            with self.assertRaises((EOFError, ConnectionError)):
                client = Client(
                    *await asyncio.open_connection(sock=plain, ssl=self.trust, server_hostname="localhost")
                )
                await client.take()
            self.assertIsNone(factory.made)

        self.run_on_loop(run())

    def test_no_tls_after_all(self) -> None:
        """A client that does not speak TLS is cut off, and no protocol sees it."""

        async def run() -> None:
            factory = RecorderFactory()
            await self.listen(factory, ssl_context=self.server)
            client = await self.client()
            client.writer.write(b"\x10\x10\x00\x04MQTT and so on")
            with self.assertRaises((EOFError, ConnectionResetError)):
                await client.take()
            self.assertIsNone(factory.made)

        self.run_on_loop(run())


class TLSOnUvloopTests(OnUvloop, TLSTests):
    """All of it on uvloop."""
