"""SCRAM: the examples of the RFCs, a Server that knows the password, and Servers that do not."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.client.doors import AuthenticationFailed
from mqttwist.client.errors import ConnectionEnded
from mqttwist.client.saslprep import saslprep
from mqttwist.client.scram import Scram, ScramSHA1, ScramSHA256, ScramSHA512
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.control import Auth, Disconnect
from mqttwist.wire.properties import Properties
from tests.client.rig import ClientTestCase, Server

NONCE = "rOprNGfwEbeRWgbNEkqO"
CHALLENGE = (
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"  # RFC 7677, 3
)


class SaslprepTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """The examples of RFC 4013, 3."""
        for text, prepared in (
            ("I\u00adX", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u00aa", "a"),
            ("\u2168", "IX"),
            ("a\u00a0b", "a b"),
        ):
            with self.subTest(text=text):
                self.assertEqual(saslprep(text), prepared)

    def test_prohibited(self) -> None:
        """Control characters, mixed directions and code points that are none are refused."""
        for text in ("\u0007", "\u0627\u0031", "a\u0627", "\ue000", "\ufffd", "\u0221"):
            with self.subTest(text=text):
                self.assertRaises(ValueError, saslprep, text)

    def test_from_right_to_left(self) -> None:
        """What is written from right to left only is fine."""
        self.assertEqual(saslprep("\u0627\u0031\u0628"), "\u0627\u0031\u0628")


class ExampleTests(SynchronousTestCase):
    def test_sha_1(self) -> None:
        """The exchange of RFC 5802, 5."""
        client = ScramSHA1("user", "pencil")
        client.nonce = lambda: "fyko+d2lbbFgONRv9qkxdawL"
        self.assertEqual(client.start(), b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL")
        self.assertEqual(
            client.step(b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"),
            b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        )
        client.finish(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")

    def test_sha_256(self) -> None:
        """The exchange of RFC 7677, 3."""
        client = ScramSHA256("user", "pencil")
        client.nonce = lambda: NONCE
        self.assertEqual(client.start(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        self.assertEqual(
            client.step(CHALLENGE),
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        )
        client.finish(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


class ServerTests(SynchronousTestCase):
    """What a Server must not say."""

    def setUp(self) -> None:
        self.client = ScramSHA256("user", "pencil")
        self.client.nonce = lambda: NONCE

    def test_challenges(self) -> None:
        """A challenge that is incomplete, malformed, not for us, too cheap or too dear is refused."""
        for challenge in (
            None,
            b"",
            b"\xff",
            b"m=x," + CHALLENGE,
            CHALLENGE.replace(b"rOpr", b"rOpx"),
            b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            CHALLENGE.replace(b"i=4096", b"i=4095"),
            CHALLENGE.replace(b"i=4096", b"i=1000001"),
            CHALLENGE.replace(b"i=4096", b"i=-1"),
            CHALLENGE.replace(b"i=4096", b"i=" + b"9" * 10_000),
            CHALLENGE.replace(b"i=4096", b"x=4096"),
            CHALLENGE.replace(b"s=W22Z", b"s=W22*"),
            CHALLENGE.replace(b"s=W22ZaJ0SNY7soEsUEjb6gQ==", b"s="),
            CHALLENGE.partition(b",i")[0],
        ):
            with self.subTest(challenge=challenge):
                self.client.start()
                self.assertRaises(AuthenticationFailed, self.client.step, challenge)
                self.assertRaises(AuthenticationFailed, self.client.finish, b"v=x")

    def test_endings(self) -> None:
        """A Server that does not prove that it knows the password is refused."""
        for final in (
            None,
            b"",
            b"v=",
            b"v=*",
            b"e=other-error",
            b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95GA=",
        ):
            with self.subTest(final=final):
                self.client.start()
                self.client.step(CHALLENGE)
                self.assertRaises(AuthenticationFailed, self.client.finish, final)

    def test_order(self) -> None:
        """Neither does a Server that leaves a step out, or takes one twice."""
        self.assertRaises(AuthenticationFailed, self.client.step, CHALLENGE)
        self.client.start()
        self.assertRaises(AuthenticationFailed, self.client.finish, None)
        self.client.start()
        self.client.step(CHALLENGE)
        self.assertRaises(AuthenticationFailed, self.client.step, CHALLENGE)

    def test_nonces(self) -> None:
        """No exchange has the nonce of another."""
        client = ScramSHA256("user", "pencil")
        self.assertNotEqual(client.start(), client.start())

    def test_names(self) -> None:
        """A comma or an equals sign in a user name is written in another way (RFC 5802, 5.1)."""
        client = ScramSHA256("a=b,c", "x")
        client.nonce = lambda: NONCE
        self.assertEqual(client.start(), b"n,,n=a=3Db=2Cc,r=rOprNGfwEbeRWgbNEkqO")
        self.assertRaises(ValueError, ScramSHA256, "", "x")
        self.assertRaises(ValueError, ScramSHA256, "a", "\u0007")


class ScramServer:
    """The Server's side of one exchange."""

    def __init__(self, hash_name: str, password: bytes) -> None:
        self._hash_name = hash_name
        salted = hashlib.pbkdf2_hmac(hash_name, password, b"salt", 4096)
        client_key = hmac.digest(salted, b"Client Key", hash_name)
        self._stored_key = hashlib.new(hash_name, client_key).digest()
        self._server_key = hmac.digest(salted, b"Server Key", hash_name)

    def challenge(self, first: bytes) -> bytes:
        self._first = first.removeprefix(b"n,,")
        self._challenge = first.partition(b",r=")[2] + b"server"
        self._challenge = b"r=" + self._challenge + b",s=" + b64encode(b"salt") + b",i=4096"
        return self._challenge

    def answer(self, final: bytes) -> bytes | None:
        """The server-final-message; None if the proof is wrong."""
        without_proof, _, proof = final.partition(b",p=")
        message = b",".join((self._first, self._challenge, without_proof))
        signature = hmac.digest(self._stored_key, message, self._hash_name)
        client_key = bytes(a ^ b for a, b in zip(b64decode(proof), signature, strict=True))
        if hashlib.new(self._hash_name, client_key).digest() != self._stored_key:
            return None
        return b"v=" + b64encode(hmac.digest(self._server_key, message, self._hash_name))


class ConnectionTests(ClientTestCase):
    """The exchange in the packets of MQTT 5.0 (4.12)."""

    def exchange(
        self, scram: Scram, hash_name: str, password: bytes = b"pencil"
    ) -> tuple[Server, Auth, bytes | None]:
        """CONNECT, AUTH and AUTH: the Server, the last packet, and what the Server answers."""
        side = ScramServer(hash_name, password)
        self.make_client(scram)
        server = Server(self.client)
        (connect,) = server.take()
        assert isinstance(connect, Connect)
        self.assertEqual(connect.properties.authentication_method, scram.method)
        challenge = side.challenge(connect.properties.authentication_data or b"")
        server.send(Auth(0x18, Properties(authentication_method=scram.method, authentication_data=challenge)))
        (auth,) = server.take()
        assert isinstance(auth, Auth)
        return server, auth, side.answer(auth.properties.authentication_data or b"")

    def finish(self, server: Server, scram: Scram, data: bytes | None) -> None:
        properties = Properties(authentication_method=scram.method, authentication_data=data)
        server.send(ConnAck(False, 0, properties))

    def test_every_hash(self) -> None:
        """Client and Server come to terms with each of the hash functions [MQTT-4.12.0-3]."""
        for scram, hash_name in (
            (ScramSHA1("user", "pencil"), "sha1"),
            (ScramSHA256("user", "pencil"), "sha256"),
            (ScramSHA512("user", "pencil"), "sha512"),
        ):
            with self.subTest(hash_name=hash_name):
                server, auth, answer = self.exchange(scram, hash_name)
                self.assertEqual(auth.reason_code, 0x18)
                self.assertIsNotNone(answer)
                self.finish(server, scram, answer)
                self.assertTrue(self.client.is_connected)

    def test_wrong_password(self) -> None:
        """A Server that knows another password refuses ours; one that feigns to know it is refused."""
        scram = ScramSHA256("user", "pencil")
        server, _, answer = self.exchange(scram, "sha256", b"another")
        self.assertIsNone(answer)
        self.finish(server, scram, b"v=" + b64encode(bytes(32)))
        self.assertFalse(self.client.is_connected)
        (error,) = self.owner.errors
        assert isinstance(error, ConnectionEnded)
        self.assertIn("the Server does not know the password", str(error))

    def test_no_proof(self) -> None:
        """A Server that accepts us without having proven anything is refused."""
        scram = ScramSHA256("user", "pencil")
        self.make_client(scram)
        server = Server(self.client)
        server.take()
        server.send(ConnAck())
        self.assertFalse(self.client.is_connected)
        self.assertTrue(server.is_closed)

    def test_again(self) -> None:
        """A client can prove who it is once more (4.12.1), and a Server that fails there loses it."""
        scram = ScramSHA256("user", "pencil")
        server, _, answer = self.exchange(scram, "sha256")
        self.finish(server, scram, answer)
        for password, succeeds in ((b"pencil", True), (b"another", False)):
            side = ScramServer("sha256", password)
            self.client.reauthenticate()
            (auth,) = server.take()
            self.assertEqual(auth.reason_code, 0x19)
            challenge = side.challenge(auth.properties.authentication_data)
            method = scram.method
            server.send(Auth(0x18, Properties(authentication_method=method, authentication_data=challenge)))
            (auth,) = server.take()
            final = side.answer(auth.properties.authentication_data)
            server.send(Auth(0, Properties(authentication_method=method, authentication_data=final)))
            self.assertEqual(self.client.is_connected, succeeds)
        (last,) = server.take()
        self.assertEqual((type(last), last.reason_code), (Disconnect, 0x80))  # Servers only may say 0x87
