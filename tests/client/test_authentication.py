"""Enhanced authentication (4.12): challenge and response, once more, and what must not be."""

from __future__ import annotations

from typing import Any

from mqttwist.client.doors import AuthenticationFailed
from mqttwist.client.errors import ClientError, ConnectionEnded
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import Auth, Disconnect
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from tests.client.rig import ClientTestCase, Server


class Prover:
    """Answers a challenge with its reverse; "wrong" is what it does not believe."""

    method = "SHA"

    def __init__(self) -> None:
        self.finished: list[bytes | None] = []
        self.starts = 0
        self.has_ticket = True

    def start(self) -> bytes | None:
        if not self.has_ticket:
            raise AuthenticationFailed("no ticket")
        self.starts += 1
        return b"start %d" % self.starts

    def step(self, data: bytes | None) -> bytes | None:
        if data == b"wrong":
            raise AuthenticationFailed("the Server is not who it should be")
        return (data or b"")[::-1]

    def finish(self, data: bytes | None) -> None:
        self.finished.append(data)
        if data == b"wrong":
            raise AuthenticationFailed("the Server has not proven it")


def said(data: bytes | None = None, method: str | None = "SHA", **more: Any) -> Properties:
    return Properties(authentication_method=method, authentication_data=data, **more)


class AuthenticationTests(ClientTestCase):
    def begin(self, **settings: Any) -> Server:
        """A Server that has CONNECT, and waits."""
        self.prover = Prover()
        self.make_client(self.prover, **settings)
        server = Server(self.client)
        [connect] = server.take()
        self.assertEqual(connect.properties.authentication_method, "SHA")
        self.assertEqual(connect.properties.authentication_data, b"start 1")
        return server

    def proven(self) -> Server:
        server = self.begin()
        server.send(ConnAck(False, 0, said(b"fine")))
        self.assertEqual(self.prover.finished, [b"fine"])
        return server

    def test_challenge(self) -> None:
        """AUTH is answered by AUTH with 0x18, as often as the Server asks [MQTT-4.12.0-3]."""
        server = self.begin()
        for challenge, answer in ((b"abc", b"cba"), (b"12", b"21")):
            server.send(Auth(0x18, said(challenge)))
            self.assertEqual(server.take(), [Auth(0x18, said(answer))])
        server.send(ConnAck(False, 0, said(b"fine")))
        self.assertEqual(self.prover.finished, [b"fine"])
        self.assertTrue(self.client.is_connected)

    def test_nothing_else_before_connack(self) -> None:
        """Before CONNACK nothing but AUTH and DISCONNECT is sent, whatever waits [MQTT-3.1.2-30]."""
        server = self.begin(keep_alive=4)
        self.subscribe()
        self.publish(b"0", 0)
        self.publish(b"1", 1)
        self.advance(10)
        self.assertEqual(server.take(), [])
        server.send(Auth(0x18, said(b"?")))
        self.assertEqual([type(one) for one in server.take()], [Auth])
        self.client.disconnect()
        self.assertEqual(server.take(), [Disconnect()])

    def test_once_more(self) -> None:
        """Re-authentication has the Authentication Method of CONNECT [MQTT-4.12.1-1] [MQTT-4.12.0-5]."""
        server = self.proven()
        self.client.reauthenticate()
        self.assertEqual(server.take(), [Auth(0x19, said(b"start 2"))])
        server.send(Auth(0x18, said(b"abc")))
        self.assertEqual(server.take(), [Auth(0x18, said(b"cba"))])
        server.send(Auth(0, said(b"well")))
        self.assertEqual(self.prover.finished, [b"fine", b"well"])
        self.assertEqual(self.owner.errors, [])

    def test_once_more_at_a_time(self) -> None:
        """While one exchange is under way there is no other, and messages go on (4.12.1)."""
        server = self.proven()
        self.client.reauthenticate()
        self.assertRaises(ClientError, self.client.reauthenticate)
        server.take()
        self.publish(b"1")
        self.assertEqual(server.take(), [Publish("t", b"1")])
        self.assertEqual(self.prover.starts, 2)

    def test_without_a_method(self) -> None:
        """A client whose CONNECT has no Authentication Method sends no AUTH [MQTT-4.12.0-7]."""
        self.assertRaises(ClientError, self.client.reauthenticate)
        server = self.connect()
        self.assertRaises(ClientError, self.client.reauthenticate)
        server.send(Auth(0x18, said(b"?")))
        self.assertEqual(server.take(), [Disconnect(0x82)])

    def test_other_methods(self) -> None:
        """AUTH or CONNACK with another Authentication Method ends the connection [MQTT-4.12.0-5]."""
        for method in (None, "MD5"):
            server = self.begin()
            server.send(ConnAck(False, 0, said(method=method)))
            self.assertEqual((server.take(), self.client.is_connected), ([Disconnect(0x82)], False))
            self.assertEqual(self.prover.finished, [])
        server = self.begin()
        server.send(Auth(0x18, said(b"?", "MD5")))
        self.assertEqual(server.take(), [Disconnect(0x82)])

    def test_the_server_fails(self) -> None:
        """A Server that has not proven who it is is left, with a DISCONNECT [MQTT-4.12.1-2]."""
        server = self.begin()
        server.send(Auth(0x18, said(b"wrong")))
        self.assertEqual((server.take(), server.is_closed), ([Disconnect(0x80)], True))
        server = self.begin()
        server.send(ConnAck(False, 0, said(b"wrong")))
        self.assertEqual((server.take(), self.owner.connacks), ([Disconnect(0x80)], []))
        server = self.proven()
        self.client.reauthenticate()
        server.send(Auth(0, said(b"wrong")))
        self.assertEqual(server.take()[1:], [Disconnect(0x80)])
        self.assertEqual([type(one) for one in self.owner.errors], [ConnectionEnded] * 3)

    def test_wrong_times(self) -> None:
        """AUTH that ends or goes on with what was not begun is a Protocol Error, as is 0x19 (4.12)."""
        for code in (0x00, 0x18, 0x19):
            server = self.proven()
            server.send(Auth(code, said(b"?")))
            self.assertEqual(server.take(), [Disconnect(0x82)])
        for code in (0x00, 0x19):
            server = self.begin()
            server.send(Auth(code, said(b"?")))
            self.assertEqual(server.take(), [Disconnect(0x82)])

    def test_no_reasons(self) -> None:
        """AUTH of ours has neither Reason String nor User Properties [MQTT-3.15.2-2] [MQTT-3.15.2-3]."""
        server = self.begin()
        server.send(Auth(0x18, said(b"?", reason_string="why", user_properties=(("a", "b"),))))
        [auth] = server.take()
        self.assertEqual((auth.properties.reason_string, auth.properties.user_properties), (None, ()))

    def test_a_small_maximum(self) -> None:
        """AUTH that is larger than the Server takes is not sent [MQTT-3.2.2-15]."""
        server = self.begin()
        server.send(ConnAck(False, 0, said(b"fine", maximum_packet_size=10)))
        self.client.reauthenticate()
        self.assertEqual(server.take(), [Disconnect(0x80)])

    def test_start_that_fails(self) -> None:
        """When nothing can be proven, nothing is begun, and it may be tried again (4.12.1)."""
        server = self.proven()
        self.prover.has_ticket = False
        self.assertRaises(AuthenticationFailed, self.client.reauthenticate)
        self.prover.has_ticket = True
        self.client.reauthenticate()
        self.assertEqual(server.take(), [Auth(0x19, said(b"start 2"))])
