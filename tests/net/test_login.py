"""How clients log in: at once and later, refused and gone, and what the log says of it."""

from __future__ import annotations

from typing import Any

from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.connection import ServerConnection
from mqttwist.net.auth import AvatarId, FullAuthority, IAuthority, ServerBusy, make_portal
from mqttwist.net.core_protocol import LINGER
from mqttwist.net.login import GuardedAuthority, PortalLogin, accept_local
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.connect import ConnAck, Will
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.publish import Publish
from tests.net.clients import FAR, LOCAL, Client, ShellTestCase
from tests.net.logins import ScriptedChecker, ScriptedRealm


class OwnTopic(FullAuthority):
    """Allows one topic to publish to."""

    def may_publish(self, topic_name: str, qos: int, retain: bool) -> bool:
        return topic_name == "own"


class Failing(FullAuthority):
    """Has a bug in every answer."""

    def may_publish(self, topic_name: str, qos: int, retain: bool) -> bool:
        raise LookupError("publish")

    def may_subscribe(self, topic_filter: str, qos: int) -> bool:
        raise LookupError("subscribe")

    def may_receive(self, topic_name: str) -> bool:
        raise LookupError("receive")


class GuardedAuthorityTests(SynchronousTestCase):
    def test_answers(self) -> None:
        """What the authority says is what counts."""
        guarded = GuardedAuthority(OwnTopic())
        self.assertTrue(guarded.may_publish("own", 0, False))
        self.assertFalse(guarded.may_publish("other", 0, False))
        self.assertTrue(guarded.may_subscribe("#", 2) and guarded.may_receive("x"))

    def test_errors(self) -> None:
        """An authority that fails says no, and the log has the traceback."""
        guarded = GuardedAuthority(Failing())
        self.assertFalse(guarded.may_publish("a", 0, False))
        self.assertFalse(guarded.may_subscribe("a", 0))
        self.assertFalse(guarded.may_receive("a"))
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 3)


class PortalTestCase(ShellTestCase):
    """A broker whose logins go through a portal with one checker."""

    def setUp(self) -> None:
        super().setUp()
        self.logouts = 0

    def log_out(self) -> None:
        self.logouts += 1

    def ask(self, answer: Any, authority: IAuthority | None = None, realm: IRealm | None = None) -> None:
        """Let the checker answer `answer`."""
        avatar = (IAuthority, authority or FullAuthority(), self.log_out)
        portal = make_portal([ScriptedChecker(answer)], realm or ScriptedRealm(avatar))
        self.set_up_broker(PortalLogin(portal))

    def log_in(self, version: int = 5, **fields: Any) -> Client:
        client = self.client(version=version)
        client.connect("a", username="alice", password=b"secret", **fields)
        return client

    def log_in_later(self, **fields: Any) -> tuple[Client, Deferred[AvatarId]]:
        """A client whose login waits for the Deferred."""
        later: Deferred[AvatarId] = Deferred()
        self.ask(later)
        return self.log_in(**fields), later

    def reason_code(self, version: int = 5) -> int:
        """What CONNACK says to a client that logs in now."""
        client = self.client(version=version)
        (connack,) = client.connect("a", username="alice", password=b"secret")
        if not isinstance(connack, ConnAck):
            raise AssertionError(connack)
        return connack.reason_code


class AcceptedTests(PortalTestCase):
    """The credentials are right."""

    def test_at_once(self) -> None:
        """A checker that answers at once lets the client in at once."""
        self.ask(b"alice")
        self.assertEqual(self.reason_code(), 0)

    def test_later(self) -> None:
        """CONNACK comes when the checker has answered, and what was sent meanwhile is worked on then."""
        client, later = self.log_in_later()
        self.assertEqual(client.take(), [])
        client.send(PingReq())
        self.assertEqual(client.take(), [])
        later.callback(b"alice")
        connack, ping = client.take()
        self.assertIsInstance(connack, ConnAck)
        self.assertEqual(ping, PingResp())

    def test_nothing_is_read_meanwhile(self) -> None:
        """While the login runs the transport does not read, so that nothing piles up."""
        client, later = self.log_in_later()
        self.assertEqual(client.transport.producerState, "paused")
        later.callback(b"alice")
        self.assertEqual(client.transport.producerState, "producing")

    def test_authority(self) -> None:
        """The realm's authority says what the client may do: no is 0x87."""
        self.ask(b"alice", OwnTopic())
        client = self.log_in()
        client.send(Publish("own", b"", 1, packet_id=1), Publish("other", b"", 1, packet_id=2))
        no_subscriber, no = ReasonCode.NO_MATCHING_SUBSCRIBERS.value, ReasonCode.NOT_AUTHORIZED.value
        self.assertEqual(client.take(), [PubAck(1, no_subscriber), PubAck(2, no)])

    def test_logout(self) -> None:
        """The realm's logout is called once, when the connection has ended."""
        self.ask(b"alice")
        client = self.log_in()
        self.assertEqual(self.logouts, 0)
        client.hang_up()
        self.assertEqual(self.logouts, 1)

    def test_logout_with_a_bug(self) -> None:
        """A logout that fails is logged, and the session ends as it should."""
        self.patch(self, "log_out", lambda: 1 / 0)
        self.ask(b"alice")
        self.log_in().hang_up()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("critical: Error in the logout of 127.0.0.1:50001", self.lines())
        self.assertEqual(len(self.broker.sessions), 0)

    def test_will_that_is_not_allowed(self) -> None:
        """A client whose will it may not publish is refused after all, and logged out."""
        self.ask(b"alice", OwnTopic())
        client = self.client()
        (connack,) = client.connect("a", username="alice", will=Will("other"))
        self.assertEqual(getattr(connack, "reason_code", 0), ReasonCode.NOT_AUTHORIZED)
        self.assertEqual(self.logouts, 1)


class RefusedTests(PortalTestCase):
    """The credentials are wrong, or nobody could find out."""

    def test_wrong_credentials(self) -> None:
        """They get 0x86, and 4 in MQTT 3.1.1 (3.2.2.2; 3.1.1: 3.2.2.3)."""
        self.ask(UnauthorizedLogin("no such user"))
        self.assertEqual(self.reason_code(), ReasonCode.BAD_USER_NAME_OR_PASSWORD)
        self.assertEqual(self.reason_code(version=4), 4)
        self.assertEqual(self.logouts, 0)

    def test_later(self) -> None:
        """The same, when the checker takes its time; then the connection is closed [MQTT-3.2.2-7]."""
        client, later = self.log_in_later()
        later.errback(UnauthorizedLogin())
        (connack,) = client.take()
        self.assertEqual(getattr(connack, "reason_code", 0), ReasonCode.BAD_USER_NAME_OR_PASSWORD)
        self.assertEqual(client.transport.calls[-1], "loseWriteConnection")
        self.assertEqual(client.transport.producerState, "producing")

    def test_no_hint(self) -> None:
        """The client is not told which half was wrong."""
        for error in (UnauthorizedLogin("no such user"), UnauthorizedLogin("wrong password")):
            self.ask(error)
            client = self.client()
            (connack,) = client.connect("a", username="alice", password=b"secret")
            reason = getattr(connack, "properties", None)
            self.assertEqual(getattr(reason, "reason_string", ""), "bad user name or password")

    def test_anonymous(self) -> None:
        """A client without credentials is told that it needs some: 0x87, and 5 in MQTT 3.1.1."""
        self.ask(b"alice")
        for version, expected in ((5, ReasonCode.NOT_AUTHORIZED.value), (4, 5)):
            (connack,) = self.client(version=version).connect("a")
            self.assertEqual(getattr(connack, "reason_code", 0), expected)

    def test_log(self) -> None:
        """The log has one line for it: who, where from, why, with the reason code, but no password."""
        self.ask(UnauthorizedLogin())
        self.log_in()
        expected = (
            "warn: 'a' from 127.0.0.1:50001 refused: bad user name or password, 0x86 (MQTT 5.0, user 'alice')"
        )
        self.assertEqual(self.lines(), [expected])

    def test_busy(self) -> None:
        """A checker that takes no more logins is 0x89, and one line without a traceback."""
        self.ask(ServerBusy())
        self.assertEqual(self.reason_code(), ReasonCode.SERVER_BUSY)
        (line,) = self.lines()
        self.assertIn("too many logins at once", line)
        self.assertEqual(self.tracebacks(), [])

    def test_checker_fails(self) -> None:
        """A checker that could not find out is 0x88, and its traceback is logged."""
        self.ask(ZeroDivisionError())
        self.assertEqual(self.reason_code(), ReasonCode.SERVER_UNAVAILABLE)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("critical: The login of 127.0.0.1:50001 could not be checked", self.lines())

    def test_realm_fails(self) -> None:
        """The same for a realm."""
        self.ask(b"alice", realm=ScriptedRealm(ZeroDivisionError()))
        self.assertEqual(self.reason_code(), ReasonCode.SERVER_UNAVAILABLE)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_bug_while_accepting(self) -> None:
        """A bug of the broker while it accepts the client is logged, and the connection closed."""

        def accept(*arguments: object) -> bool:
            raise ZeroDivisionError("a bug")

        self.ask(b"alice")
        self.patch(ServerConnection, "accept", accept)
        client = self.log_in()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("critical: Error in the broker while accepting 127.0.0.1:50001", self.lines())
        self.assertEqual(client.transport.calls[-1], "loseWriteConnection")
        self.assertEqual(self.broker.connection_count, 0)


class GoneTests(PortalTestCase):
    """The client goes away, or the time is up, while the login runs."""

    def setUp(self) -> None:
        super().setUp()
        self.cancelled = 0

    def cancel(self, login: Deferred[Any]) -> None:
        self.cancelled += 1

    def log_in_later(self, **fields: Any) -> tuple[Client, Deferred[AvatarId]]:
        later: Deferred[AvatarId] = Deferred(self.cancel)
        self.ask(later)
        return self.log_in(**fields), later

    def check_cancelled(self, client: Client) -> None:
        """The login was cancelled once, and the log has no word of it beside that of the client's end."""
        self.assertEqual(self.cancelled, 1)
        self.assertEqual((client.take(), self.logouts, len(self.broker.sessions)), ([], 0, 0))
        self.assertEqual(self.tracebacks(), [])
        self.assertEqual(len(self.lines()), 1)

    def test_client_is_gone(self) -> None:
        """When the client goes, its login is cancelled."""
        client, _ = self.log_in_later()
        client.hang_up()
        self.check_cancelled(client)

    def test_realm_takes_its_time(self) -> None:
        """The same while it is the realm that is waited for."""
        later: Deferred[Any] = Deferred(self.cancel)
        self.ask(b"alice", realm=ScriptedRealm(later))
        client = self.log_in()
        client.hang_up()
        self.check_cancelled(client)

    def test_accepted_and_gone(self) -> None:
        """A login that is through is not cancelled when its client goes later."""
        client, later = self.log_in_later()
        later.callback(b"alice")
        (connection,) = self.broker.sessions.connections()
        self.assertIsNone(connection.cancel_login)
        client.hang_up()
        self.assertEqual((self.cancelled, self.logouts), (0, 1))

    def test_checker_gives_up(self) -> None:
        """A checker whose own work was cancelled could not find out: 0x88, and its traceback is logged."""
        client, later = self.log_in_later()
        later.errback(CancelledError())
        (connack,) = client.take()
        self.assertEqual(getattr(connack, "reason_code", 0), ReasonCode.SERVER_UNAVAILABLE)
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)

    def test_log(self) -> None:
        """The log says that it went before it was accepted."""
        client, _ = self.log_in_later()
        client.hang_up()
        (line,) = self.lines()
        self.assertIn("refused: gone before it was accepted", line)

    def test_time_is_up(self) -> None:
        """A login that takes longer than the time to connect is refused with 0x88 and closed.

        This is also when a client is noticed that went away while it was not read from.
        """
        client, _ = self.log_in_later()
        self.clock.advance(self.settings.connect_timeout)
        self.broker.tick()
        (connack,) = client.take()
        self.assertEqual(getattr(connack, "reason_code", 0), ReasonCode.SERVER_UNAVAILABLE)
        self.assertEqual(client.transport.calls[-1], "loseWriteConnection")
        self.assertEqual(client.transport.producerState, "producing")
        self.check_cancelled(client)

    def test_nothing_is_left(self) -> None:
        """After that no timer, no session and no connection is left."""
        client, _ = self.log_in_later()
        self.clock.advance(self.settings.connect_timeout)
        self.broker.tick()
        self.clock.advance(LINGER)
        self.assertEqual(client.transport.calls[-1], "abortConnection")
        client.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((self.broker.connection_count, len(self.broker.deadlines)), (0, 0))

    def test_server_stops(self) -> None:
        """A client whose login runs when the server stops is refused, and its login cancelled."""
        client, _ = self.log_in_later()
        self.broker.shut_down()
        (connack,) = client.take()
        self.assertEqual(getattr(connack, "reason_code", 0), ReasonCode.SERVER_UNAVAILABLE)
        self.check_cancelled(client)


class LocalTests(ShellTestCase):
    """The safe default: who is on this machine is let in."""

    def setUp(self) -> None:
        super().setUp()
        self.set_up_broker(accept_local)

    def test_this_machine(self) -> None:
        """A client on loopback or a UNIX socket is let in, with or without a user name."""
        self.connected("a", LOCAL)
        self.connected("b", LOCAL, username="alice", password=b"whatever")
        self.connected("c", UNIXAddress(None))
        self.assertEqual(self.broker.sessions.connected, 3)

    def test_another_machine(self) -> None:
        """One of another machine is refused with 0x87, and told what the server would need."""
        (connack,) = self.client(FAR).connect("a")
        self.assertEqual(getattr(connack, "reason_code", 0), ReasonCode.NOT_AUTHORIZED)
        (line,) = self.lines()
        self.assertIn("neither --auth nor --allow-anonymous is set", line)
