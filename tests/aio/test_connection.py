"""Transports of the asyncio client: sockets, TLS, the end of a connection, and faults in the middle."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mqttwist.aio import Client, protocol
from mqttwist.aio.place import HostPlace, UnixPlace, place_by_server, place_of
from mqttwist.client.connection import ClientConnection
from mqttwist.client.received import Received
from mqttwist.wire.control import Disconnect
from mqttwist.wire.publish import Publish
from tests.aio.rig import AioTestCase, OnUvloop, PlayedServer
from tests.interop.certificates import make_certificate


class PlaceTests(AioTestCase):
    def test_addresses(self) -> None:
        """What describes a Server; a host is reached by TLS where its scheme or `tls` says so."""
        for where, tls, place in (
            ("mqtt://a", False, "mqtt://a:1883"),
            ("mqtts://a", False, "mqtts://a:8883"),
            ("a", False, "mqtt://a:1883"),
            ("a", True, "mqtts://a:8883"),
            ("a:7", False, "mqtt://a:7"),
            ("[::1]:7", True, "mqtts://[::1]:7"),
            ("unix:/run/a", False, "unix:/run/a"),
            ("unix:///run/a", True, "unix:/run/a"),
        ):
            with self.subTest(where=where, tls=tls):
                self.assertEqual(str(place_of(where, tls)), place)

    def test_no_silent_plain_text(self) -> None:
        """Who asks for TLS does not get a connection without."""
        self.assertRaises(ValueError, place_of, "mqtt://a", True)

    def test_sent_elsewhere(self) -> None:
        """Who was reached by TLS can't send us where there is none, and nobody to a file of ours."""
        sender = place_of("mqtts://a")
        self.assertEqual(str(place_by_server("b", sender, False)), "mqtts://b:8883")
        self.assertEqual(str(place_by_server("b:1", place_of("a"), False)), "mqtt://b:1")
        self.assertRaises(ValueError, place_by_server, "mqtt://b", sender, False)
        self.assertRaises(ValueError, place_by_server, "unix:/b", sender, False)

    def test_certificates_are_checked(self) -> None:
        """Without a context of the program's own the certificate is checked, and the name of the host."""
        place: Any = place_of("mqtts://a")
        assert isinstance(place, HostPlace)
        context = place._context
        assert context is not None
        self.assertEqual((context.verify_mode, context.check_hostname), (ssl.CERT_REQUIRED, True))
        self.assertFalse(UnixPlace("a").is_tls)


class TransportTests(AioTestCase):
    def folder(self) -> Path:
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        return Path(folder.name)

    async def test_tcp(self) -> None:
        """Small packets are not held back: TCP_NODELAY."""
        server = await self.server()
        async with self.client(f"mqtt://localhost:{server.port}") as client:
            await server.accept()
            await client.ready()
            assert client._protocol is not None
            found = client._protocol._transport.get_extra_info("socket")
            self.assertTrue(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertIn(f"'us' connected to 127.0.0.1:{server.port}: MQTT 5.0, new session", self.log)

    async def test_unix(self) -> None:
        """A UNIX socket works as TCP does."""
        path = str(self.folder() / "socket")
        server = await self.server(path=path)
        async with self.client(f"unix:{path}") as client:
            peer = await server.accept()
            await client.publish("t", b"x")
            self.assertEqual(await peer.take(), Publish("t", b"x"))
        self.assertEqual(await peer.ended(), [Disconnect()])
        self.assertIn(f"connected to unix:{path}", self.log)

    async def tls_server(self) -> tuple[Any, ssl.SSLContext]:
        key, certificate = make_certificate(self.folder())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return await self.server(context=context), ssl.create_default_context(cafile=certificate)

    async def test_tls(self) -> None:
        """TLS carries it, with a certificate that is checked."""
        server, trust = await self.tls_server()
        async with self.client(f"localhost:{server.port}", tls=trust) as client:
            peer = await server.accept()
            await client.publish("t", b"x")
            self.assertEqual(await peer.take(), Publish("t", b"x"))
        self.assertEqual(await peer.ended(), [Disconnect()])

    async def test_last_words_in_tls(self) -> None:
        """With TLS the last words are read as well, even by a Server that is slow and talks all the while."""
        server, trust = await self.tls_server()
        await self.check_last_words(server, self.client(f"localhost:{server.port}", tls=trust))

    async def test_tls_of_a_stranger(self) -> None:
        """A certificate that nobody has signed is no Server, and nothing is said to it."""
        server, _ = await self.tls_server()
        async with self.client(f"mqtts://localhost:{server.port}") as client:
            await self.until(lambda: client.last_error)
        self.assertIn("CERTIFICATE_VERIFY_FAILED", self.log)
        self.assertEqual(server.peers, [])
        self.faults.clear()  # the Server's own, whose handshake has failed

    async def test_last_words(self) -> None:
        """DISCONNECT is read by a Server that is slow, and has sent what nobody reads."""
        server = await self.server()
        await self.check_last_words(server, self.client(server.where))

    async def check_last_words(self, server: PlayedServer, client: Client) -> None:
        client.start()
        peer = await server.accept()
        await client.ready()
        reading: Any = peer.writer.transport
        reading.pause_reading()
        connection = client.core.connection
        assert connection is not None
        while not connection.blocked:
            await client.publish("t", bytes(65_536))
        stopping = asyncio.ensure_future(client.stop())
        await asyncio.sleep(0)  # it has said goodbye
        reading.resume_reading()
        packet: Any = None
        while packet != Disconnect():  # else `EOFError`
            peer.send(*[Publish("u", bytes(1000))] * 10)
            packet = await peer.take()
        await stopping

    async def test_server_that_does_not_close(self) -> None:
        """A Server that does not close after DISCONNECT is left after a while."""
        with patch.object(protocol, "LINGER", 0.01):
            listening = socket.create_server(("127.0.0.1", 0))
            self.addCleanup(listening.close)
            client = self.client(f"127.0.0.1:{listening.getsockname()[1]}")
            client.start()
            await self.until(lambda: client.core.connection)
            await client.stop()
            self.assertIsNone(client._protocol)

    async def test_reading_pauses(self) -> None:
        """A Server that sends more than is taken is read from no more, until it is."""
        server = await self.server()
        client = self.client(server.where, hold_bytes=1000)
        gate = asyncio.Event()
        got: list[int] = []

        @client.subscription("t", qos=1)
        async def take(received: Received) -> None:
            await gate.wait()
            got.append(len(received.payload))

        async with client:
            peer = await server.accept()
            await peer.grant()
            peer.send(*[Publish("t", bytes(500), 1, packet_id=one) for one in range(1, 9)])
            connection = client.core.connection
            assert connection is not None
            await self.until(lambda: connection.reading_is_paused)
            assert client._protocol is not None
            self.assertFalse(client._protocol._transport.is_reading())
            gate.set()
            await self.until(lambda: len(got) == 8)
            self.assertTrue(client._protocol._transport.is_reading())

    async def test_fault_of_ours(self) -> None:
        """An error in the client itself is logged, and the next connection goes on."""
        server = await self.server()
        async with self.client(server.where) as client:
            peer = await server.accept()
            await client.ready()
            with patch.object(ClientConnection, "receive_data", side_effect=KeyError("on purpose")):
                peer.send(Publish("t", b"x"))
                await self.until(lambda: not client.is_connected)
            await server.accept()
            await client.ready()
        self.assertIn("Error in the client while it served", self.errors[0])

    async def test_fault_before_connect(self) -> None:
        """What CONNECT can't say is logged for each attempt, and holds nothing up."""
        server = await self.server()
        async with self.client(server.where, version="3.1", username=None, password=b"x"):
            await self.until(lambda: len(self.errors) > 1)
        self.assertIn("Error in the client when it was to send CONNECT", self.errors)

    async def test_server_that_breaks_the_protocol(self) -> None:
        """A Server that breaks the protocol is told so, and connected to again (4.13)."""
        server = await self.server()
        async with self.client(server.where) as client:
            peer = await server.accept()
            await client.ready()
            peer.writer.write(b"\x00\x00")
            (last,) = await peer.ended()
            self.assertEqual(last.reason_code, 0x81)
            await server.accept()
            await client.ready()


class TransportOnUvloopTests(OnUvloop, TransportTests):
    pass
