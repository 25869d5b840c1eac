"""The log: one line for each event, with who, what and why; and the trace of packets, without passwords."""

from __future__ import annotations

from io import StringIO
from typing import Any

from twisted.logger import (
    LegacyLogObserverWrapper,
    LogEvent,
    Logger,
    LogLevel,
    LogPublisher,
    eventAsJSON,
    eventFromJSON,
    extractField,
    formatEvent,
    formatEventAsClassicLogText,
    textFileLogObserver,
)
from twisted.python.log import textFromEventDict
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.settings import Settings
from mqttwist.net.auth import FullAuthority
from mqttwist.net.log import LineLogger
from mqttwist.wire.connect import Connect, Will
from mqttwist.wire.control import Auth, Disconnect, PingReq
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.packet import CONNECT, frame
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions, Unsubscribe
from tests.net.clients import FAR, Client, ShellTestCase

CANARY = "correct horse battery staple"


class LineLoggerTests(SynchronousTestCase):
    """Twisted's observers show a line that was made beforehand as they show one that they make themselves."""

    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        observer: Any = self.events.append
        self.publisher = LogPublisher(observer)
        loggers = [Logger("a.b", observer=self.publisher), LineLogger("a.b", observer=self.publisher)]
        for logger in loggers:
            logger.warn("{who!r} said {what} {number:g} times {{sic}}", who="x", what="{who}", number=2.0)
        self.theirs, self.ours = self.events
        self.ours["log_time"] = self.theirs["log_time"]

    def test_line(self) -> None:
        """The text log has the same line, with time, system, and a field's braces as they are."""
        line = formatEventAsClassicLogText(self.ours)
        self.assertEqual(line, formatEventAsClassicLogText(self.theirs))
        self.assertTrue(str(line).endswith(" [a.b#warn] 'x' said {who} 2 times {sic}\n"), line)

    def test_file(self) -> None:
        """An observer that writes to a file needs no more than the event."""
        file = StringIO()
        textFileLogObserver(file, "%Y")(self.ours)
        self.assertTrue(file.getvalue().endswith(" [a.b#warn] 'x' said {who} 2 times {sic}\n"))

    def test_keys(self) -> None:
        """No key is missing, and but for the format each has the same value."""
        missing = {key for key in self.theirs if key not in self.ours}
        self.assertEqual(missing, set())
        self.assertEqual(self.ours["template"], self.theirs["log_format"])
        changed = {key for key in self.theirs if self.ours[key] != self.theirs[key]}
        self.assertEqual(changed, {"log_format", "log_logger"})

    def test_json(self) -> None:
        """The line and the facts come back from a log in JSON."""
        read = eventFromJSON(eventAsJSON(self.ours))
        self.assertEqual(formatEvent(read), formatEvent(self.theirs))
        self.assertEqual((read["who"], read["what"], read["number"]), ("x", "{who}", 2.0))
        self.assertEqual(read["log_level"], LogLevel.warn)

    def test_legacy(self) -> None:
        """An observer of the old kind, such as the one for syslog, finds the same text."""
        texts: list[str | None] = []
        legacy: Any = lambda event: texts.append(textFromEventDict(event))  # noqa: E731
        for event in (self.ours, self.theirs):
            LegacyLogObserverWrapper(legacy)(event)
        self.assertEqual(texts[0], texts[1])

    def test_flattened(self) -> None:
        """What is flattened beforehand is what Twisted itself would flatten, whatever its keys are called."""
        event = {key: value for key, value in self.ours.items() if key != "log_flattened"}
        eventAsJSON(event)
        self.assertEqual(self.ours["log_flattened"], event["log_flattened"])
        self.assertEqual(extractField("log_text", self.ours), "'x' said {who} 2 times {sic}")

    def test_failure(self) -> None:
        """A failure has its traceback."""
        try:
            raise ValueError("bad")
        except ValueError:
            LineLogger("a.b", observer=self.publisher).failure("Error in {what}", what="this")
        self.assertEqual(formatEvent(self.events[-1]), "Error in this")
        self.assertIn("ValueError: bad", str(formatEventAsClassicLogText(self.events[-1])))


class Strict(FullAuthority):
    """Allows only what begins with `own/`."""

    def may_publish(self, topic_name: str, qos: int, retain: bool) -> bool:
        return topic_name.startswith("own/")

    def may_subscribe(self, topic_filter: str, qos: int) -> bool:
        return topic_filter.startswith("own/")


class EventTests(ShellTestCase):
    """What the log says about clients."""

    settings = Settings(sys_interval=0.0, queue_messages=2, maximum_packet_size=1024)

    def said(self) -> list[str]:
        """The lines since the last call."""
        lines = self.lines()
        self.events.clear()
        return lines

    def test_connected(self) -> None:
        """Who: client id, address, version, user, keep alive, session, will."""
        self.connected("a", FAR, username="alice", password=b"secret", keep_alive=30, will=Will("gone"))
        expected = (
            "info: 'a' connected from 192.0.2.7:50123: MQTT 5.0, user 'alice', keep alive 30 s, "
            "new session that ends with the connection, will to 'gone'"
        )
        self.assertEqual(self.said(), [expected])

    def test_keys(self) -> None:
        """The facts are keys of the event, for logs that are read by programs."""
        self.connected("a", username="alice", password=b"secret")
        (event,) = self.events
        self.assertEqual(event["log_namespace"], "mqttwist.broker")
        known = {name: event[name] for name in ("client_id", "username", "version", "peer", "keep_alive")}
        expected = {
            "client_id": "a",
            "username": "alice",
            "version": "5.0",
            "peer": "127.0.0.1:50001",
            "keep_alive": 0,
        }
        self.assertEqual(known, expected)
        self.assertTrue(event["template"].startswith("{client_id!r} connected from {peer}: "))

    def test_sessions(self) -> None:
        """Whether the session is new, and how long it lives."""
        hour = Properties(session_expiry_interval=3600)
        self.connected("a", clean_start=False, properties=hour).hang_up()
        self.connected("a", version=4, clean_start=False).hang_up()
        connected = [line for line in self.said() if " connected from " in line]
        self.assertIn("MQTT 5.0", connected[0])
        self.assertIn("new session that expires after 3600 s", connected[0])
        self.assertIn("MQTT 3.1.1", connected[1])
        self.assertIn("resumed session that never expires", connected[1])

    def test_end(self) -> None:
        """Every end has its cause, and with it the session's if it ends."""
        client = self.connected("a")
        self.said()
        client.send(Disconnect(ReasonCode.ADMINISTRATIVE_ACTION.value, Properties(reason_string="bye\nbye")))
        expected = [
            "info: 'a' disconnected from 127.0.0.1:50001: DISCONNECT by the client with 0x98: 'bye\\nbye'",
        ]
        self.assertEqual(self.said(), expected)

    def test_take_over(self) -> None:
        """A client that is sent away goes with the reason code."""
        self.connected("a")
        self.connected("a", FAR)
        self.assertIn(
            "info: 'a' disconnected from 127.0.0.1:50001: session taken over by 192.0.2.7:50123 (0x8E)",
            self.said(),
        )

    def test_keep_alive(self) -> None:
        """So does one that has fallen silent [MQTT-3.1.2-22]."""
        self.connected("a", keep_alive=10)
        self.clock.advance(15)
        self.broker.tick()
        self.assertIn(
            "info: 'a' disconnected from 127.0.0.1:50001: nothing heard for 15 s (0x8D)", self.said()
        )

    def test_subscriptions(self) -> None:
        """Each subscription with what was granted, and its end."""
        client = self.connected("a")
        self.said()
        options = [SubscriptionOptions("a/#", 2), SubscriptionOptions("$share/g/b", 1)]
        client.send(Subscribe(1, options), Unsubscribe(2, ["a/#", "nix"]))
        expected = [
            "info: 'a' subscribed to 'a/#' at QoS 2",
            "info: 'a' subscribed to '$share/g/b' at QoS 1",
            "info: 'a' unsubscribed from 'a/#'",
            "info: 'a' unsubscribed from 'nix', which it had not subscribed to",
        ]
        self.assertEqual(self.said(), expected)

    def test_refusals(self) -> None:
        """What an authority does not allow, with the topic and the reason code."""
        self.set_up_broker(lambda connection, connect: connection.accept(Strict()))
        client = self.connected("a")
        self.said()
        client.send(Subscribe(1, [SubscriptionOptions("#", 2)]), *[Publish("other", b"1")] * 3)
        self.broker.tick()
        expected = [
            "warn: 'a' must not subscribe to '#': 0x87 not authorized",
            "warn: 3 messages of 'a' not accepted, the last to 'other': 0x87 not authorized",
        ]
        self.assertEqual(self.said(), expected)

    def test_refused(self) -> None:
        """A client that is not accepted, with the reason and the code."""
        self.client(FAR).connect("a", properties=Properties(authentication_method="SCRAM"))
        expected = (
            "warn: 'a' from 192.0.2.7:50123 refused: Authentication Method 'SCRAM' is not supported, "
            "0x8C bad authentication method (MQTT 5.0, user None)"
        )
        self.assertEqual(self.said(), [expected])

    def test_never_said_connect(self) -> None:
        """One that never sent CONNECT, though nothing else is known of it."""
        self.client(FAR)
        self.clock.advance(10)
        self.broker.tick()
        expected = "warn: '?' from 192.0.2.7:50123 refused: no CONNECT within 10 s (MQTT ?, user None)"
        self.assertEqual(self.said(), [expected])

    def test_protocol_error(self) -> None:
        """A fault of the client with the reason code and the clause, and the end with the cause."""
        client = self.connected("a")
        self.said()
        client.send(Connect("a"))
        expected = [
            "warn: 'a' from 127.0.0.1:50001 broke the protocol: a second CONNECT (0x82) [MQTT-3.1.0-2]",
            "info: 'a' disconnected from 127.0.0.1:50001: a second CONNECT (0x82)",
        ]
        self.assertEqual(self.said(), expected)

    def test_protocol_error_keys(self) -> None:
        """Reason code and clause are keys of the event too."""
        self.client().send(PingReq())
        (event,) = self.events
        self.assertEqual((event["clause"], event["reason_code"]), ("MQTT-3.1.0-1", 0x82))

    def test_will(self) -> None:
        """A will that goes out."""
        self.connected("a", will=Will("house/a", b"gone")).hang_up()
        self.assertIn("info: Will of 'a' published to 'house/a'", self.said())

    def test_drops(self) -> None:
        """Dropped messages by client and reason, counted together and not a line for each."""
        away = self.connected("away", version=4, clean_start=False)
        away.subscribe("#", 1)
        away.hang_up()
        publisher = self.connected("publisher")
        self.said()
        for number in range(5):
            publisher.send(Publish("a", b"1", 1, packet_id=number + 1))
        self.assertEqual(self.said(), [])
        self.broker.tick()
        (line,) = self.said()
        self.assertRegex(line, "^warn: 3 messages for 'away' dropped: .*full")

    def test_names_can_not_forge_lines(self) -> None:
        """What a client calls itself can neither begin a line of its own nor be taken for a format."""
        self.connected("x\ninfo: {peer} connected", username="{0}", password=b"")
        (event,) = self.events
        self.assertEqual(event["log_format"], "{log_text}")
        (line,) = self.said()
        self.assertTrue(line.startswith(r"info: 'x\ninfo: {peer} connected' connected from 127.0.0.1"), line)
        self.assertIn("user '{0}'", line)


class TraceTests(ShellTestCase):
    """Every packet at debug level, if that is asked for."""

    log_packets = True

    def traced(self) -> list[str]:
        lines = self.lines("mqttwist.packets")
        self.events.clear()
        return lines

    def test_both_ways(self) -> None:
        """Each packet is one line with the peer, the way it went, and what it says."""
        client = self.connected("a")
        self.traced()
        client.send(PingReq(), Publish("a/b", b"hello", 1, packet_id=7))
        expected = [
            "debug: 127.0.0.1:50001 <- PingReq()",
            "debug: 127.0.0.1:50001 <- <Publish 'a/b' qos 1 id 7, 5 bytes>",
            "debug: 127.0.0.1:50001 -> PingResp()",
            "debug: 127.0.0.1:50001 -> PubAck(packet_id=7, reason_code=16)",
        ]
        self.assertEqual([line.replace(", properties=None", "") for line in self.traced()], expected)

    def test_password(self) -> None:
        """The password of a CONNECT is not shown, the rest of it is."""
        for version in (3, 4, 5):
            with self.subTest(version=version):
                self.connected("a", version=version, username="alice", password=CANARY.encode())
                line = self.traced()[0]
                self.assertIn("alice", line)
                self.assertIn("(hidden)", line)
                self.assertNotIn(CANARY, line)

    def test_no_password(self) -> None:
        """A CONNECT without one shows that there is none."""
        self.connected("a")
        self.assertIn("password=None", self.traced()[0])

    def test_authentication_data(self) -> None:
        """Nor is what an enhanced authentication says, in CONNECT and AUTH."""
        properties = Properties(authentication_method="PLAIN", authentication_data=CANARY.encode())
        self.client().connect("a", properties=properties)
        self.connected("b").send(Auth(0x18, properties))
        text = "\n".join(self.traced())
        self.assertEqual(text.count("PLAIN"), 3)  # the refusal names it too
        self.assertNotIn(CANARY, text)

    def test_broken_connect(self) -> None:
        """Nor the bytes of a CONNECT that is malformed, whose password may be anywhere."""
        broken = Connect("a", username="alice", password=CANARY.encode()).encode()[2:] + b"?"
        self.client().send_bytes(frame(CONNECT << 4, broken))
        (line,) = (line for line in self.traced() if "<-" in line)
        self.assertIn(f"CONNECT of {len(broken) + 2} bytes", line)
        self.assertNotIn(CANARY, line)
        self.assertNotIn(CANARY.encode().hex(" "), line)

    def test_broken_packet(self) -> None:
        """Of other malformed packets the first bytes are shown, and what is wrong with them."""
        client = self.connected("a")
        self.traced()
        client.send_bytes(b"\xc0\x01\x00")
        line = self.traced()[0]
        self.assertIn("PINGREQ of 3 bytes, c0 01 00: ", line)

    def test_nowhere(self) -> None:
        """No line of the whole log holds the password, whatever becomes of the login."""
        for refusal in (0, ReasonCode.BAD_USER_NAME_OR_PASSWORD.value):
            self.set_up_broker(
                lambda connection, connect, refusal=refusal: (
                    connection.refuse(refusal, "no") if refusal else connection.accept(None)
                )
            )
            client = Client(self.factory)
            client.connect("a", username="alice", password=CANARY.encode())
            client.send(Connect("a", username="alice", password=CANARY.encode()))
            client.hang_up()
        self.assertGreater(len(self.events), 6)
        self.assertNotIn(CANARY, "\n".join(self.lines() + self.lines("mqttwist.packets")))


class NoTraceTests(ShellTestCase):
    def test_off(self) -> None:
        """Unless it is asked for there is no trace, and nothing that could cost time."""
        self.connected("a").send(PingReq())
        self.assertEqual(self.lines("mqttwist.packets"), [])
        (connection,) = self.broker.sessions.connections()
        self.assertIsNone(connection.trace)
