"""What follows the end of a connection: another attempt, another Server, another version, or the end."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IStreamClientEndpoint

from mqttwist import ClientError, ConnectionEnded, ConnectRefused, MQTTClient, NotDelivered, Reconnecting
from mqttwist.client.doors import AuthenticationFailed
from mqttwist.testing import MemoryBroker
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import Auth, Disconnect
from mqttwist.wire.properties import Properties
from tests.front.rig import SECOND, ClientTestCase

DOUBLING = Reconnecting(first=1.0, longest=8.0, jitter=0.0)


class PauseTests(ClientTestCase):
    def attempts(self, seconds: float, **options: Any) -> list[float]:
        """When a client with a Server that can't be reached has tried, in so many seconds."""
        endpoint = self.broker.endpoint()
        endpoint.refuses = True
        times: list[float] = []
        connect = endpoint.connect

        def note(factory: Any) -> Any:
            times.append(self.broker.clock.seconds())
            return connect(factory)

        endpoint.connect = note  # type: ignore[method-assign,assignment]
        self.client("us", where=endpoint, **options)
        self.broker.advance(seconds)
        return times

    def test_pauses_grow(self) -> None:
        """Pauses double up to the longest."""
        self.assertEqual(self.attempts(32, reconnecting=DOUBLING), [0, 1, 3, 7, 15, 23, 31])

    def test_first_again(self) -> None:
        """After a connection that has lasted the pause is the first one again."""
        client = self.client("us", reconnecting=DOUBLING)
        for _ in range(4):
            self.broker.advance(11)
            self.assertTrue(client.is_connected)
            self.broker.cut()
            self.broker.advance(1)
            self.assertTrue(client.is_connected)

    def test_short_connections(self) -> None:
        """One that is closed at once, again and again, makes them grow all the same."""
        client = self.client("us", reconnecting=DOUBLING)
        for pause in (1, 2, 4, 8, 8):
            self.broker.cut()
            self.broker.advance(pause - 0.1)
            self.assertFalse(client.is_connected)
            self.broker.advance(0.1)
            self.assertTrue(client.is_connected)

    def test_longer(self) -> None:
        """A Server that is busy is left alone for longer."""
        for reason_code, pause in ((0x88, 5), (0x89, 5), (0x97, 5), (0x9F, 5)):
            with self.subTest(reason_code=reason_code):
                self.broker.refuse(reason_code)
                client = self.client("us", reconnecting=SECOND)
                self.broker.advance(pause - 0.1)
                self.assertFalse(client.is_connected)
                self.broker.advance(0.2)
                self.assertTrue(client.is_connected)
                self.broker.run(client.stopService())


class FatalTests(ClientTestCase):
    def test_refused_for_good(self) -> None:
        """What trying again does not mend is the end: everything that waits fails with the reason."""
        for reason_code in (0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x9D):
            with self.subTest(reason_code=reason_code):
                self.broker.refuse(reason_code)
                client = self.broker.client("us", reconnecting=SECOND)
                ready, waiting = client.ready(), client.publish("a", b"x", qos=1)
                granted = client.call_for("a", print).granted()
                client.startService()
                self.broker.advance(60)
                error = self.failureResultOf(ready, ConnectRefused).value
                self.assertEqual(error.reason_code, reason_code)
                self.failureResultOf(waiting, NotDelivered)
                self.failureResultOf(granted, ClientError)
                self.failureResultOf(client.ready(), ConnectRefused)
                self.failureResultOf(client.publish("a", b"x"), NotDelivered)
                self.assertEqual(self.broker.endpoints[-1].attempts, 1)
                self.assertTrue(any("gives up" in line for line in self.lines()))

    def test_start_again(self) -> None:
        """A client that has given up can be started, be it stopped before or not."""
        for is_stopped in (True, False):
            self.broker.refuse(0x85)
            client = self.client("us")
            self.failureResultOf(client.ready(), ConnectRefused)
            if is_stopped:
                self.broker.run(client.stopService())
            client.startService()
            self.broker.settle()
            self.assertTrue(client.is_connected)
            self.broker.run(client.publish("a", b"x", qos=1))
            self.broker.run(client.stopService())
            self.assertEqual(self.broker.client_ids, [])

    def test_start_in_callback(self) -> None:
        """So can it by whoever is told of the end, while the transport is still there."""
        self.broker.refuse(0x85)
        client = self.broker.client("us")
        client.on_disconnected = lambda error: client.startService()
        client.startService()
        self.broker.advance(1)
        self.assertTrue(client.is_connected)
        client.on_disconnected = None

    def test_transient(self) -> None:
        """Other reasons are not the end."""
        for reason_code in (0x80, 0x83, 0x88, 0x89, 0x97, 0x9C, 0x9F):
            with self.subTest(reason_code=reason_code):
                self.broker.refuse(reason_code)
                client = self.client("us", reconnecting=SECOND)
                self.broker.advance(6)
                self.assertTrue(client.is_connected)
                self.broker.run(client.stopService())

    def test_taken_over(self) -> None:
        """Whose place another client has taken does not take it back, unless it is told to."""
        first = self.client("us", reconnecting=SECOND)
        second = self.client("us", reconnecting=SECOND)
        self.broker.advance(60)
        self.assertEqual((first.is_connected, second.is_connected), (False, True))
        self.assertEqual(self.failureResultOf(first.ready(), ConnectionEnded).value.reason_code, 0x8E)
        self.assertEqual(second.stats.connections, 1)

    def test_stays(self) -> None:
        """With `stays` it does."""
        stays = Reconnecting(first=1.0, jitter=0.0, stays=True)
        first = self.client("us", reconnecting=stays)
        self.client("us")
        self.broker.advance(2)
        self.assertTrue(first.is_connected)


class PlacesTests(ClientTestCase):
    def test_fail_over(self) -> None:
        """Of several Servers the first that accepts is taken; when it goes, it is tried first."""
        bad, good = self.broker.endpoint(), self.broker.endpoint()
        bad.refuses = True
        client = self.client("us", where=[bad, good], reconnecting=SECOND)
        self.broker.advance(1)
        self.assertTrue(client.is_connected)
        self.broker.cut()
        self.broker.advance(1)
        self.assertEqual((client.is_connected, bad.attempts, good.attempts), (True, 1, 2))

    def test_refused(self) -> None:
        """A Server that refuses for now is passed over, too."""
        other = MemoryBroker(self.broker.clock)
        self.broker.refuse(0x88)
        client = self.client("us", where=[self.broker.endpoint(), other.endpoint()], reconnecting=SECOND)
        self.broker.advance(6)
        self.assertTrue(client.is_connected)
        self.assertEqual(other.client_ids, ["us"])
        self.broker.run(client.stopService())
        other.close()


class RedirectedClient(MQTTClient):
    """Goes to `elsewhere`, by whatever name."""

    elsewhere: Any

    def redirected(self, reference: str, sender: IStreamClientEndpoint) -> IStreamClientEndpoint:
        self.references = [*getattr(self, "references", []), reference]
        where: IStreamClientEndpoint = self.elsewhere
        return where


class RedirectTests(ClientTestCase):
    def redirected(self, **options: Any) -> RedirectedClient:
        self.other = MemoryBroker(self.broker.clock)
        self.addCleanup(self.other.close)
        reconnecting = Reconnecting(first=1.0, jitter=0.0, **options)
        client = RedirectedClient(
            self.broker.endpoint(), client_id="us", reconnecting=reconnecting, reactor=self.broker.clock
        )
        client.elsewhere = self.other.endpoint()
        self.broker.clients.append(client)
        return client

    def test_by_connack(self) -> None:
        """CONNACK sends us elsewhere, at once (4.11)."""
        for reason_code in (0x9C, 0x9D):
            with self.subTest(reason_code=reason_code):
                client = self.redirected(redirects=True)
                self.broker.refuse(reason_code, server_reference="other.example:1883 third.example")
                client.startService()
                self.broker.settle()
                self.assertEqual((self.other.client_ids, self.broker.client_ids), (["us"], []))
                self.assertEqual(client.references, ["other.example:1883"])
                self.broker.run(client.stopService())

    def test_by_disconnect(self) -> None:
        """So does DISCONNECT."""
        client = self.redirected(redirects=True)
        client.startService()
        self.broker.settle()
        self.broker.kick("us", 0x9C, "other.example")
        self.assertEqual((self.other.client_ids, self.broker.client_ids), (["us"], []))

    def test_not_allowed(self) -> None:
        """Unless it may, a client goes nowhere: it gives up if the Server has moved, else tries again."""
        for reason_code, gives_up in ((0x9D, True), (0x9C, False)):
            with self.subTest(reason_code=reason_code):
                client = self.redirected()
                self.broker.refuse(reason_code, server_reference="other.example")
                client.startService()
                self.broker.advance(2)
                self.assertEqual((self.other.client_ids, client.is_connected), ([], not gives_up))
                self.broker.run(client.stopService())

    def test_in_circles(self) -> None:
        """Two Servers that send us to each other do not keep us busy for ever."""
        client = self.redirected(redirects=True)
        self.broker.refuse(0x9C, 1000, "other.example")
        self.other.refuse(0x9C, 1000, "first.example")
        client.startService()
        self.broker.advance(60)
        self.assertLess(sum(one.attempts for one in self.broker.endpoints + self.other.endpoints), 20)

    def test_nonsense(self) -> None:
        """A reference that is nowhere is logged, and the client tries again as usual."""
        client = self.client("us", reconnecting=Reconnecting(first=1.0, jitter=0.0, redirects=True))
        for reference in ("unix:/etc/passwd", "tcp:host:80", "http://x", ":::"):
            with self.subTest(reference=reference):
                self.broker.kick("us", 0x9C, reference)
                self.broker.advance(600)
                self.assertTrue(client.is_connected)


class VersionTests(ClientTestCase):
    def test_auto(self) -> None:
        """With "auto" an older version is tried where the Server does not know a newer one, at once."""
        client, server = self.play(version="auto")
        self.assertEqual(server.take()[0].version, 5)
        server.send_bytes(b"\x20\x02\x00\x01")  # CONNACK of 3.1.1: unacceptable protocol version
        self.broker.settle()
        server = self.servers[-1]
        server.version = 4
        self.assertEqual((len(self.servers), server.take()[0].version), (2, 4))
        server.send(ConnAck())
        self.assertTrue(client.is_connected)
        server.hang_up()
        self.broker.advance(1)
        self.assertEqual(self.servers[-1].take()[0].version, 4)

    def test_auto_5(self) -> None:
        """The same where CONNACK is one of MQTT 5.0 with 0x84."""
        _, server = self.play(version="auto")
        server.take()
        server.send(ConnAck(False, 0x84))
        self.broker.settle()
        self.assertEqual(self.servers[-1].take()[0].version, 4)

    def test_nothing_left(self) -> None:
        """A Server that knows none of them is the end."""
        client, server = self.play(version="auto")
        for _ in range(3):
            server = self.servers[-1]
            server.take()
            server.send_bytes(b"\x20\x02\x00\x01")
            self.broker.settle()
        self.broker.advance(60)
        self.assertEqual(len(self.servers), 3)
        self.failureResultOf(client.ready(), ConnectRefused)

    def test_says_nothing(self) -> None:
        """A Server that closes without a word is tried in older versions at once, then comes a pause."""
        self.play(version="auto")
        for server, version in zip(range(3), (5, 4, 3), strict=True):
            self.assertEqual(len(self.servers), server + 1)
            self.assertEqual(self.servers[-1].take()[0].version, version)
            self.servers[-1].hang_up()
        self.assertEqual(len(self.servers), 3)
        self.broker.advance(10)
        self.assertEqual(self.servers[3].take()[0].version, 5)

    def test_left_out(self) -> None:
        """What the older version can't say is left out, and the log says so."""
        client, server = self.play(version="auto")
        server.take()
        server.send_bytes(b"\x20\x02\x00\x01")
        server = self.servers[-1]
        server.version = 4
        server.accept()
        for _ in range(2):
            client.publish("a", b"x", properties=Properties(content_type="text/plain"))
        self.assertEqual([one.payload for one in server.take()], [b"x", b"x"])
        told = [line for line in self.lines() if "left out" in line]
        self.assertEqual(told, ["'us' speaks MQTT 3.1.1 only: properties of messages are left out"])

    def test_pauses(self) -> None:
        """A Server that goes away after that is tried again with pauses, as any other."""
        endpoint = self.player()
        self.client("us", where=endpoint, version="auto", reconnecting=SECOND)
        self.servers[-1].take()
        self.servers[-1].send_bytes(b"\x20\x02\x00\x01")
        endpoint.refuses = True
        self.servers[-1].hang_up()
        self.broker.advance(10)
        self.assertLess(endpoint.attempts, 14)


class CredentialTests(ClientTestCase):
    def connected_with(self, **options: Any) -> tuple[str | None, bytes | None]:
        _, server = self.play(**options)
        connect = server.take()[0]
        return connect.username, connect.password

    def test_kinds(self) -> None:
        """User name and password are values or functions, which may answer by a Deferred or a coroutine."""

        async def coroutine() -> str:
            return "secret"

        def deferred() -> Deferred[str]:
            pause: Deferred[str] = Deferred()
            self.broker.clock.callLater(0, pause.callback, "secret")
            return pause

        for username, password in (
            ("us", "secret"),
            (b"us", b"secret"),
            (lambda: "us", lambda: b"secret"),
            ("us", coroutine),
            ("us", deferred),
        ):
            found = self.connected_with(username=username, password=password)
            self.assertEqual(found, ("us", b"secret"))
        self.assertEqual(self.connected_with(), (None, None))

    def test_each_time(self) -> None:
        """Functions are asked before each attempt, and a refused login is tried again with the answer."""
        tokens = iter((b"old", b"new"))
        client, server = self.play(username="us", password=lambda: next(tokens))
        self.assertEqual(server.take()[0].password, b"old")
        server.send(ConnAck(False, 0x86))
        self.broker.advance(2)
        self.assertEqual(self.servers[-1].accept().password, b"new")
        self.assertTrue(client.is_connected)

    def test_failing(self) -> None:
        """One that fails is a line in the log, and asked again after the pause, which is another."""
        answers: list[Any] = [KeyError("vault"), fail(KeyError("vault")), "secret"]

        def password() -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        endpoint = self.player()
        self.client("us", where=endpoint, password=password, username="us", reconnecting=SECOND)
        fault = "User name or password can't be told: KeyError: 'vault'"
        again = "'us' tries again in 1.0 s"
        self.assertEqual((endpoint.attempts, self.lines()), (0, [fault, again]))
        self.broker.advance(1)
        self.assertEqual((endpoint.attempts, self.lines()), (0, [fault, again] * 2))
        self.broker.advance(1)
        self.assertEqual(self.servers[-1].take()[0].password, b"secret")

    def test_stop_while_asking(self) -> None:
        """The client can be stopped while the answer is waited for."""
        pause: Deferred[str] = Deferred()
        endpoint = self.player()
        client = self.client("us", where=endpoint, password=lambda: pause)
        self.successResultOf(client.stopService())
        self.assertEqual((endpoint.attempts, self.flushLoggedErrors()), (0, []))


class Challenge:
    """An Authenticator that answers a challenge by its reverse."""

    method = "reverse"

    def __init__(self) -> None:
        self.ends: list[bytes | None] = []

    def start(self) -> bytes:
        return b"hello"

    def step(self, data: bytes | None) -> bytes:
        return (data or b"")[::-1]

    def finish(self, data: bytes | None) -> None:
        self.ends.append(data)
        if data == b"wrong":
            raise AuthenticationFailed("that is not the Server")


class AuthenticationTests(ClientTestCase):
    def challenge(self, reason_code: int, data: bytes) -> Auth:
        return Auth(reason_code, Properties(authentication_method="reverse", authentication_data=data))

    def test_exchange(self) -> None:
        """AUTH goes to and fro before CONNACK, and once more when the program wants it (4.12)."""
        authenticator = Challenge()
        client, server = self.play(authenticator=authenticator)
        self.assertRaises(ClientError, client.reauthenticate)
        (connect,) = server.take()
        self.assertEqual(connect.properties.authentication_data, b"hello")
        server.send(self.challenge(0x18, b"abc"))
        self.assertEqual(server.take(), [self.challenge(0x18, b"cba")])
        said = Properties(authentication_method="reverse", authentication_data=b"fine")
        server.send(ConnAck(False, 0, said))
        self.assertTrue(client.is_connected)
        client.reauthenticate()
        self.assertEqual(server.take(), [self.challenge(0x19, b"hello")])
        server.send(self.challenge(0, b"fine again"))
        self.assertEqual(authenticator.ends, [b"fine", b"fine again"])

    def test_wrong_server(self) -> None:
        """A Server that does not prove who it is is left."""
        client, server = self.play(authenticator=Challenge())
        server.take()
        said = Properties(authentication_method="reverse", authentication_data=b"wrong")
        server.send(ConnAck(False, 0, said))
        self.assertFalse(client.is_connected)

    def test_without(self) -> None:
        """Without an Authenticator there is nothing to prove once more."""
        client, server = self.accepted()
        self.assertRaises(ClientError, client.reauthenticate)
        server.send(Disconnect(0x8B))
