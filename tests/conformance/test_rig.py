"""The clients of a rig, and what they say when something is not as it must be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.conform.client import Client
from mqttwist.conform.registry import Checks
from mqttwist.conform.rig import Rig
from mqttwist.conform.runner import Verdict, run
from mqttwist.conform.verdict import CheckFailed, NotApplicable, require
from mqttwist.conform.virtual import VirtualBroker, VirtualRig
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.connect import ConnAck, Will
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck


class RigTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.virtual = VirtualBroker()
        self.rig = VirtualRig(MQTT_5, self.virtual)

    def fails(self, function: Callable[[], object], *said: str) -> None:
        """`function` fails, and what it says has all of `said` in it."""
        text = str(self.assertRaises(CheckFailed, function))
        for part in said:
            self.assertIn(part, text)


class SayingLine:
    """A Network Connection to a Server that says `data`, again and again."""

    is_closed = False

    def __init__(self, data: bytes) -> None:
        self._data = data

    def send(self, data: bytes) -> None:
        pass

    def receive(self, seconds: float) -> bytes:
        return self._data

    def close(self) -> None:
        pass


class LastWordsLine(SayingLine):
    """A Network Connection to a Server that says `data` and closes it."""

    is_closed = True

    def receive(self, seconds: float) -> bytes:
        data, self._data = self._data, b""
        return data


class ClientTests(RigTestCase):
    def test_what_came_instead(self) -> None:
        """A packet that does not come fails with those that did."""
        client = self.rig.connect()
        self.fails(lambda: client.expect(PubAck), "expected PubAck, nothing came")
        client.send(PingReq())
        self.fails(lambda: client.expect(PubAck), "expected PubAck, PingResp() came")
        self.fails(client.expect_nothing, "expected nothing, PingResp() came")
        self.fails(client.expect_closed, "it is open and PingResp() came")
        self.fails(client.read_to_end, "it is open")
        client.expect(PingResp)
        client.expect_nothing()

    def test_order(self) -> None:
        """`expect` leaves what came before in its place, `expect_next` does not allow for it."""
        client = self.rig.connect()
        client.subscribe(self.rig.topic())
        client.send(Publish(self.rig.topic()), PingReq())
        self.fails(lambda: client.expect_next(PingResp), "expected PingResp next", "PingResp() came")
        client.expect(PingResp)
        client.expect_next(Publish)

    def test_closed(self) -> None:
        """A connection that was closed is one, with a Reason Code that is none of success."""
        client = self.rig.connect()
        client.send(b"\x00\x00")
        client.expect_closed()
        self.fails(lambda: client.expect(SubAck), "the connection was closed")
        self.fails(client.expect_nothing, "the connection was closed")
        client = self.rig.connect()
        client.send(PingReq(), b"\x00\x00")
        self.fails(client.expect_closed, "expected the connection to be closed at once", "PingResp()")
        for client in (self.rig.connect(), self.rig.connect()):
            client.send(b"\x00\x00")
        goodbye = client.expect_closed(0x80, 0x81)
        self.assertEqual(goodbye and goodbye.reason_code, 0x81)
        self.assertEqual(self.rig.remarks, [])
        client = Client(self.rig, LastWordsLine(b"\xe0\x01\x00"), MQTT_5)
        self.fails(client.expect_closed, "of an error, got 0x00")

    def test_what_is_recommended(self) -> None:
        """Another Reason Code than the one asked for, and none, are remarked on, and fail nothing (4.13)."""
        client = Client(self.rig, LastWordsLine(b"\xe0\x01\x83"), MQTT_5)
        client.expect_closed(0x81, 0x82)
        self.assertEqual(self.rig.remarks, ["Reason Code 0x81 or 0x82, not 0x83, before the close"])
        self.rig.remarks.clear()
        Client(self.rig, LastWordsLine(b""), MQTT_5).expect_closed(0x81)  # CONNACK may be left out
        client = Client(self.rig, LastWordsLine(ConnAck().encode(5)), MQTT_5)
        client.connected()
        client.expect_closed()
        self.assertEqual(self.rig.remarks, [])
        for _ in (1, 2):
            client.expect_closed(0x81)
        self.assertEqual(self.rig.remarks, ["DISCONNECT with 0x81 before the close"])

    def test_refusals(self) -> None:
        """A client that must be accepted, and is not, fails the check."""
        self.fails(lambda: self.rig.connect(authentication_method="x"), "the Reason Code of CONNACK", "140")
        client = self.rig.connect()
        self.fails(lambda: client.publish("$SYS/a", qos=1), "the message is refused", "reason_code=135")

    def test_messages(self) -> None:
        """A message is received and acknowledged at each QoS."""
        client = self.rig.connect()
        client.subscribe(self.rig.topic(), qos=2)
        for qos in (0, 1, 2):
            client.publish(self.rig.topic(), b"payload", qos)
            self.assertEqual(client.message().qos, qos)
        client.expect_nothing()

    def test_what_no_server_sends(self) -> None:
        """What a client cannot decode, or only clients send, fails the check."""
        for data, said in ((b"\x00\x00", "can't be decoded"), (b"\xc0\x00", "what Servers don't: PingReq()")):
            client = Client(self.rig, SayingLine(data), MQTT_5)
            self.fails(partial(client.expect, PingResp), said)


class RigTests(RigTestCase):
    def test_names(self) -> None:
        """Topics are the same for a label, client ids are not, and two checks share neither."""
        other = VirtualRig(MQTT_5, self.virtual, "w")
        self.assertEqual(self.rig.topic("a"), self.rig.topic("a"))
        ids = {rig.client_id() for rig in (self.rig, self.rig, other)}
        self.assertEqual(len(ids | {self.rig.topic("a"), other.topic("a")}), 5)
        self.assertTrue(all(one.isalnum() and len(one) <= 23 for one in ids))

    def test_clean_up(self) -> None:
        """Sessions, retained messages and wills to be retained are gone in the end, in each version."""
        for version in (MQTT_5, MQTT_3_1_1):
            rig = VirtualRig(version, self.virtual, f"v{version}")
            rig.connect(persistent=True).publish(rig.topic("a/b"), b"kept", retain=True)
            delay = {"will_delay_interval": 5} if version == MQTT_5 else {}
            will = Will(rig.topic("will"), b"kept", retain=True)
            for key, value in delay.items():
                setattr(will.properties, key, value)
            rig.connect(persistent=True, will=will).drop()
            rig.clean_up()
            self.assertEqual(len(self.virtual.broker.sessions), 0)
            self.assertEqual(len(self.virtual.broker.router.retained), 0)
            self.assertEqual(self.virtual.broker.connection_count, 0)


class ChecksTests(SynchronousTestCase):
    def run_one(self, function: Callable[[Rig], None]) -> tuple[Verdict, str]:
        checks = Checks(MQTT_5)
        checks.statement("MQTT-3.12.4-1")(function)
        [check] = checks
        outcome = run(check, VirtualRig(MQTT_5, VirtualBroker()))
        return outcome.verdict, outcome.detail

    def test_verdicts(self) -> None:
        """A check passes, fails with what it says, or is skipped with the reason."""

        def not_applicable(rig: Rig) -> None:
            raise NotApplicable("of another kind")

        self.assertEqual(self.run_one(lambda rig: None), (Verdict.PASSED, ""))
        better = (Verdict.PASSED, "allowed; recommended is this, that")
        self.assertEqual(self.run_one(lambda rig: rig.remarks.extend(["this", "that"])), better)
        self.assertEqual(self.run_one(lambda rig: require(False, "no")), (Verdict.FAILED, "no"))
        self.assertEqual(self.run_one(not_applicable), (Verdict.SKIPPED, "of another kind"))

    def test_registration(self) -> None:
        """A statement that does not exist, none at all, and a name used twice are mistakes."""
        checks = Checks(MQTT_3_1_1)
        self.assertRaises(ValueError, checks.statement("MQTT-3.12.4-2"), self.run_one)
        self.assertRaises(ValueError, checks.statement(), self.run_one)
        checks.statement("MQTT-3.12.4-1")(self.run_one)  # type: ignore[arg-type]
        self.assertRaises(ValueError, checks.statement("MQTT-3.12.4-1"), self.run_one)
