"""The client over real transports of this machine: TLS, which has to prove the host, and UNIX sockets."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    trustRootFromCertificates,
)
from twisted.trial.unittest import TestCase

from mqttwist import ClientError, MQTTClient
from mqttwist.broker.broker import accept_everybody
from mqttwist.net.client_endpoint import client_endpoint, is_tls, redirected_endpoint, tls_endpoint
from mqttwist.net.protocol import MQTTServerFactory
from tests.interop.certificates import make_certificate

HERE = "127.0.0.1"
reactor: Any = installed_reactor


def private_certificate(key_file: Path, certificate_file: Path) -> PrivateCertificate:
    certificate = Certificate.loadPEM(certificate_file.read_bytes())
    key = KeyPair.load(key_file.read_bytes(), 1)
    both: PrivateCertificate = PrivateCertificate.fromCertificateAndKeyPair(certificate, key)
    return both


class TransportTestCase(TestCase):
    timeout = 20.0  # seconds

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.factory = MQTTServerFactory(login=accept_everybody)
        self.addCleanup(self.factory.when_none_is_left)

    def listen(self, options: Any) -> int:
        """The port of a broker with TLS."""
        port = reactor.listenSSL(0, self.factory, options, interface=HERE)
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def client(self, where: Any) -> MQTTClient:
        client = MQTTClient(where, client_id="us")
        client.startService()
        self.addCleanup(client.stopService)
        return client

    async def first_error(self, where: Any) -> str:
        """Why a client can't connect."""
        client = self.client(where)
        ended: Deferred[ClientError] = Deferred()
        client.on_disconnected = ended.callback
        error = await ended
        client.on_disconnected = None
        self.assertEqual(client.stats.connections, 0)
        return str(error)


class TLSTests(TransportTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.key_file, self.certificate_file = make_certificate(self.folder)

    def listen_as(self, key_file: Path, certificate_file: Path) -> int:
        return self.listen(private_certificate(key_file, certificate_file).options())

    async def test_right_host(self) -> None:
        """A Server with a certificate of its host, from somebody that is trusted, is spoken to."""
        port = self.listen_as(self.key_file, self.certificate_file)
        for host in (HERE, "localhost"):
            client = self.client(tls_endpoint(reactor, host, port, cafile=self.certificate_file))
            await client.ready()
            self.assertEqual((await client.publish("a", b"x" * 100_000, qos=1)).reason_code, 0x10)
            await client.stopService()

    async def test_wrong_host(self) -> None:
        """One whose certificate is another host's is not, and the error says so."""
        other = self.folder / "other"
        other.mkdir()
        key_file, certificate_file = make_certificate(other, "other.example")
        port = self.listen_as(key_file, certificate_file)
        text = await self.first_error(tls_endpoint(reactor, "localhost", port, cafile=certificate_file))
        self.assertEqual(text, "TLS: the Server's certificate is not for localhost")
        text = await self.first_error(tls_endpoint(reactor, HERE, port, cafile=certificate_file))
        self.assertEqual(text, "TLS: the Server's certificate is not for 127.0.0.1")

    async def test_unchecked_host(self) -> None:
        """Unless that is not to be checked."""
        other = self.folder / "other"
        other.mkdir()
        key_file, certificate_file = make_certificate(other, "other.example")
        port = self.listen_as(key_file, certificate_file)
        for host in (HERE, "localhost"):
            where = tls_endpoint(reactor, host, port, cafile=certificate_file, checks_host=False)
            client = self.client(where)
            await client.ready()
            await client.stopService()

    async def test_not_trusted(self) -> None:
        """Nor is one whose certificate nobody has signed that is trusted: the default."""
        port = self.listen_as(self.key_file, self.certificate_file)
        text = await self.first_error(f"mqtts://localhost:{port}")
        self.assertTrue(text.startswith("TLS: certificate verify failed: the Server's certificate is"), text)

    async def test_own_certificate(self) -> None:
        """A Server that asks for our certificate gets it, from one file or from two."""
        ours = self.folder / "ours"
        ours.mkdir()
        key_file, certificate_file = make_certificate(ours, "us.example")
        both = ours / "both.pem"
        both.write_bytes(key_file.read_bytes() + certificate_file.read_bytes())
        server = private_certificate(self.key_file, self.certificate_file)
        trust = trustRootFromCertificates([Certificate.loadPEM(certificate_file.read_bytes())])
        options = CertificateOptions(
            privateKey=server.privateKey.original, certificate=server.original, trustRoot=trust
        )
        port = self.listen(options)
        for files in ((certificate_file, key_file), (both, None)):
            where = tls_endpoint(
                reactor, "localhost", port, cafile=self.certificate_file, certfile=files[0], keyfile=files[1]
            )
            client = self.client(where)
            await client.ready()
            await client.stopService()
        await self.first_error(tls_endpoint(reactor, "localhost", port, cafile=self.certificate_file))

    def test_bad_files(self) -> None:
        """Files that have not what they should are refused when the endpoint is made."""
        empty = self.folder / "empty"
        empty.write_bytes(b"")
        (self.folder / "other").mkdir()
        other_key, _ = make_certificate(self.folder / "other")
        for files in (
            {"cafile": empty},
            {"certfile": empty},
            {"certfile": self.certificate_file},
            {"keyfile": self.key_file},
            {"certfile": self.certificate_file, "keyfile": other_key},
        ):
            with self.subTest(files=files):
                self.assertRaises(ValueError, tls_endpoint, reactor, "a", 1, **files)
        with self.assertRaises(ValueError) as caught:
            tls_endpoint(reactor, "a", 1, cafile=self.folder / "none")
        self.assertEqual(
            str(caught.exception), f"{self.folder}/none can't be read: No such file or directory"
        )


class UNIXTests(TransportTestCase):
    async def test_unix(self) -> None:
        """A UNIX socket is a place like others."""
        path = self.folder / "mqtt.sock"
        port = await UNIXServerEndpoint(reactor, str(path)).listen(self.factory)
        self.addCleanup(port.stopListening)
        client = self.client(f"unix:{path}")
        await client.ready()
        await client.publish("a", b"x", qos=2)
        await client.stopService()


class EndpointTests(TestCase):
    def test_descriptions(self) -> None:
        """Hosts, URLs and Twisted's own descriptions are understood; TLS only where it is asked for."""
        for where, tls in (
            ("broker.example", False),
            ("broker.example:1884", False),
            ("[::1]:1884", False),
            ("mqtt://broker.example", False),
            ("tcp:broker.example:1883", False),
            ("unix:/run/mqtt.sock", False),
            ("mqtts://broker.example", True),
            ("tls:broker.example:8883", True),
        ):
            with self.subTest(where=where):
                self.assertEqual(is_tls(client_endpoint(reactor, where)), tls)
        self.assertTrue(is_tls(client_endpoint(reactor, "broker.example", tls=True)))

    def test_refused(self) -> None:
        """Twisted's "ssl:", which does not look whose certificate it is, is refused; so is nonsense."""
        for where in ("ssl:broker.example:8883", "http://broker.example", "mqtt://us:secret@broker.example"):
            with self.subTest(where=where):
                self.assertRaises(ValueError, client_endpoint, reactor, where)

    def test_redirected(self) -> None:
        """Whom a Server with TLS has sent elsewhere goes there with TLS, or not at all."""
        plain = client_endpoint(reactor, "a.example")
        safe = client_endpoint(reactor, "mqtts://a.example")
        self.assertFalse(is_tls(redirected_endpoint(reactor, "b.example:1884", plain)))
        self.assertTrue(is_tls(redirected_endpoint(reactor, "mqtts://b.example", plain)))
        self.assertTrue(is_tls(redirected_endpoint(reactor, "b.example:8884", safe)))
        for reference, sender in (
            ("mqtt://b.example", safe),
            ("unix:/run/other.sock", plain),
            ("tls:b.example:8883", safe),
        ):
            with self.subTest(reference=reference):
                self.assertRaises(ValueError, redirected_endpoint, reactor, reference, sender)
