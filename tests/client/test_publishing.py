"""What is published: identifiers, the limits that the Server sets, its order, and what becomes of it."""

from __future__ import annotations

from typing import Any

from mqttwist.client.errors import NotDelivered, NotSupportedByServer, PublishRefused
from mqttwist.client.outgoing import ALIAS_LIMIT
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.control import Disconnect, PingReq
from mqttwist.wire.message import Message
from mqttwist.wire.packet import MQTT_3_1, MQTT_3_1_1, MQTT_5
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, UnsubAck, Unsubscribe
from tests.client.rig import ClientTestCase, Server

VERSIONS = (MQTT_3_1, MQTT_3_1_1, MQTT_5)


class PacketIdentifierTests(ClientTestCase):
    def test_shared(self) -> None:
        """PUBLISH, SUBSCRIBE and UNSUBSCRIBE take identifiers that none of them uses [MQTT-2.2.1-3]
        [3.1.1: MQTT-2.3.1-2] [MQTT-4.3.2-1] [MQTT-4.3.3-1]."""
        server = self.connect()
        self.publish(b"1", 1)
        subscriber = self.subscribe("a")
        self.publish(b"2", 2)
        self.client.unsubscribe(subscriber)
        ids = [one.packet_id for one in server.take()]
        self.assertEqual(ids, [1, 2, 3, 4])

    def test_none_that_is_in_use(self) -> None:
        """After 65,535 the identifiers begin with 1 again, and those in use are left out [MQTT-2.2.1-3]
        [3.1.1: MQTT-2.3.1-2]."""
        server = self.connect()
        self.publish(b"1", 1)
        subscriber = self.subscribe("a")
        server.take()
        self.client.outgoing._last_packet_id = 65_534
        self.publish(b"2", 1)
        self.publish(b"3", 1)
        self.client.unsubscribe(subscriber)
        self.assertEqual([one.packet_id for one in server.take()], [65_535, 3, 4])

    def test_the_same_for_the_same(self) -> None:
        """What is sent again has its identifier, which is free when it was confirmed [3.1.1: MQTT-2.3.1-3]
        [MQTT-2.2.1-5]."""
        for version in (MQTT_3_1_1, MQTT_5):
            self.make_client(versions=(version,), session_expiry_interval=100)
            server = self.connect()
            self.publish(b"1", 1)
            self.publish(b"2", 2)
            server.take()
            server.hang_up()
            server = self.connect(True)
            self.assertEqual([(one.packet_id, one.dup) for one in server.take()], [(1, True), (2, True)])
            self.client.outgoing._last_packet_id = 0
            server.send(PubAck(1), PubRec(2))
            self.publish(b"3", 1)
            self.publish(b"4", 1)
            self.assertEqual([one.packet_id for one in server.take()], [2, 1, 3])  # PUBREL first

    def test_requests_again(self) -> None:
        """The identifier of a SUBSCRIBE or UNSUBSCRIBE is free when it was answered [3.1.1: MQTT-2.3.1-3]."""
        server = self.connect()
        subscriber = self.subscribed(server, "a")
        self.client.unsubscribe(subscriber)
        [unsubscribe] = server.take()
        server.send(UnsubAck(unsubscribe.packet_id, [0]))
        self.client.outgoing._last_packet_id = 0
        self.publish(b"1", 1)
        self.assertEqual(server.take(), [Publish("t", b"1", 1, packet_id=1)])


class ServerLimitTests(ClientTestCase):
    def test_receive_maximum(self) -> None:
        """No more than the Receive Maximum of the Server are under way [MQTT-3.3.4-7] [MQTT-4.9.0-1]
        [MQTT-4.9.0-2]."""
        server = self.connect(receive_maximum=2)
        for number in range(4):
            self.publish(b"%d" % number, 1 + number % 2)
        self.assertEqual([one.payload for one in server.take()], [b"0", b"1"])
        server.send(PubRec(2))  # which frees nothing
        self.assertEqual(server.take(), [PubRel(2)])
        server.send(PubComp(2))
        self.assertEqual([one.payload for one in server.take()], [b"2"])
        server.send(PubAck(1, 0x87))
        self.assertEqual([one.payload for one in server.take()], [b"3"])

    def test_nothing_else_waits(self) -> None:
        """With the Receive Maximum used up, all but PUBLISH of QoS 1 and 2 goes out [MQTT-3.3.4-8]
        [MQTT-4.9.0-3]."""
        server = self.connect(receive_maximum=1)
        self.publish(b"1", 2)
        self.publish(b"2", 1)
        server.take()
        subscriber = self.subscribe("a")
        self.publish(b"0", 0)
        self.client.unsubscribe(subscriber)
        server.send(PubRec(1), Publish("t", b"x", 1, packet_id=7))
        kinds = [type(one) for one in server.take()]
        self.assertEqual(kinds, [Subscribe, Publish, Unsubscribe, PubRel, PubAck])
        self.advance(60)
        self.assertEqual(server.take(), [PingReq()])
        self.client.disconnect()
        self.assertEqual(server.take(), [Disconnect()])

    def test_maximum_qos(self) -> None:
        """What is above the Server's Maximum QoS is refused here, and never sent [MQTT-3.2.2-11]."""
        self.publish(b"early", 2)
        server = self.connect(maximum_qos=1)
        self.assertRaises(NotSupportedByServer, self.publish, b"2", 2)
        self.publish(b"1", 1)
        self.assertEqual([one.payload for one in server.take()], [b"1"])
        [error] = self.ended.errors
        assert isinstance(error, NotSupportedByServer)
        self.assertEqual(error.property, "Maximum QoS")

    def test_retain_available(self) -> None:
        """Where the Server keeps no retained messages, none is sent with RETAIN [MQTT-3.2.2-14]."""
        self.publish(b"early", 1, retain=True)
        self.publish(b"early", 0, retain=True)
        server = self.connect(retain_available=0)
        self.assertRaises(NotSupportedByServer, self.publish, b"1", 0, retain=True)
        self.publish(b"1")
        self.assertEqual([one.payload for one in server.take()], [b"1"])
        self.assertEqual(len(self.ended.errors), 2)

    def test_maximum_packet_size(self) -> None:
        """A PUBLISH larger than the Server's Maximum Packet Size is refused, to the byte [MQTT-3.2.2-15]."""
        server = self.connect(maximum_packet_size=50)
        for qos in (0, 1, 2):
            overhead = 6 + 2 * (qos > 0)
            self.publish(bytes(50 - overhead), qos)
            self.publish(bytes(51 - overhead), qos)
        self.assertEqual([len(one.encode(5)) for one in server.take()], [50, 50, 50])
        self.assertEqual([str(one)[-21:] for one in self.ended.errors], ["(Maximum Packet Size)"] * 3)

    def test_lower_limits(self) -> None:
        """What a session was promised is not sent to a Server that takes it no more [MQTT-3.2.2-11]."""
        self.make_client(session_expiry_interval=100)
        server = self.connect()
        self.publish(b"2", 2)
        self.publish(bytes(60), 1)
        self.publish(b"1", 1)
        server.take()
        server.hang_up()
        server = self.connect(True, maximum_qos=1, maximum_packet_size=50)
        self.assertEqual(server.take(), [Publish("t", b"1", 1, packet_id=3, dup=True)])
        errors = self.ended.errors
        self.assertEqual([getattr(one, "maybe", None) for one in errors], [True, True])

    def test_topic_aliases(self) -> None:
        """Topic Aliases are used up to the Server's maximum, the one used longest ago anew [MQTT-3.2.2-17]
        [MQTT-3.3.2-9] [MQTT-3.3.2-8]."""
        server = self.connect(topic_alias_maximum=2)
        for topic_name in ("a", "b", "a", "c", "b", "b"):
            self.publish(b"x", 0, topic_name=topic_name)
        sent = [(one.topic_name, one.topic_alias) for one in server.take()]
        self.assertEqual(sent, [("a", 1), ("b", 2), ("", 1), ("c", 2), ("b", 1), ("", 1)])

    def test_no_topic_aliases(self) -> None:
        """A Server that says nothing of Topic Aliases gets none [MQTT-3.2.2-18]."""
        server = self.connect()
        self.publish(b"x")
        self.publish(b"x")
        self.assertEqual([one.topic_alias for one in server.take()], [0, 0])

    def test_aliases_end(self) -> None:
        """A connection knows no Topic Alias of the one before, nor does what is sent again [MQTT-3.3.2-7]."""
        self.make_client(session_expiry_interval=100)
        server = self.connect(topic_alias_maximum=2)
        self.publish(b"0")
        self.publish(b"1", 1)
        self.assertEqual([one.topic_name for one in server.take()], ["t", ""])
        server.hang_up()
        server = self.connect(True, topic_alias_maximum=2)
        self.publish(b"2")
        self.assertEqual([(one.topic_name, one.topic_alias) for one in server.take()], [("t", 0), ("t", 1)])

    def test_many_aliases(self) -> None:
        """However many Topic Aliases the Server takes, no more than 1,000 names are remembered."""
        server = self.connect(topic_alias_maximum=65_535)
        for number in range(ALIAS_LIMIT + 50):
            self.publish(b"x", 0, topic_name=f"t/{number}")
        self.assertEqual(max(one.topic_alias for one in server.take()), ALIAS_LIMIT)

    def test_nothing_of_ours(self) -> None:
        """No PUBLISH of a client has a Subscription Identifier [MQTT-3.3.4-6]."""
        server = self.connect()
        try:
            self.publish(b"x", 0, properties=Properties(subscription_identifiers=(3,)))
        except ValueError:
            return
        self.assertEqual([one.subscription_identifiers for one in server.take()], [()])

    def test_topic_names(self) -> None:
        """A Topic Name has no wildcards and no U+0000, and at least one character [MQTT-3.3.2-2]
        [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-1.5.4-2]."""
        for name in ("", "a/#", "+", "a\0", "x" * 65_536, "\ud800"):
            self.assertRaises(ValueError, Message.create, name, b"x", 0)


class SendingAgainTests(ClientTestCase):
    def test_order(self) -> None:
        """What is sent again goes out in the order in which it went first [MQTT-4.6.0-1]
        [3.1.1: MQTT-4.6.0-1] [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-3.1.2-23] [MQTT-4.1.0-1] [MQTT-4.3.2-3]
        [MQTT-4.3.3-3] [MQTT-4.3.3-4] [MQTT-4.3.3-5] [MQTT-4.3.3-6] [3.1.1: MQTT-3.1.2-4]
        [3.1.1: MQTT-3.3.1-1] [3.1.1: MQTT-4.1.0-1] [3.1.1: MQTT-4.1.0-2] [3.1.1: MQTT-4.4.0-1]."""
        for version in VERSIONS:
            self.make_client(versions=(version,), session_expiry_interval=100, retry_interval=0)
            server = self.connect()
            for number in range(6):
                self.publish(b"%d" % number, 1 + number % 2)
            server.take()
            server.send(PubAck(3), PubRec(4))
            server.hang_up()
            self.publish(b"6", 1)
            server = self.connect(True)
            sent = [(getattr(one, "payload", b"rel"), getattr(one, "dup", None)) for one in server.take()]
            again = [(b"0", True), (b"1", True), (b"rel", None), (b"4", True), (b"5", True), (b"6", False)]
            self.assertEqual(sent, again)

    def test_pubrels(self) -> None:
        """PUBREL goes out in the order of the PUBRECs [MQTT-4.6.0-4] [3.1.1: MQTT-4.6.0-4]."""
        for version in VERSIONS:
            self.make_client(versions=(version,))
            server = self.connect()
            for _ in range(3):
                self.publish(b"x", 2)
            server.take()
            server.send(PubRec(2), PubRec(1), PubRec(3))
            self.assertEqual(server.take(), [PubRel(2), PubRel(1), PubRel(3)])

    def test_not_while_connected(self) -> None:
        """In MQTT 5.0 nothing is sent again while the connection lasts [MQTT-4.4.0-1]."""
        server = self.connect()
        self.publish(b"1", 1)
        server.take()
        for _ in range(10):
            self.advance(10)
            server.connection.last_received = self.time.now
        self.assertEqual([type(one) for one in server.take() if isinstance(one, Publish)], [])

    def test_overdue(self) -> None:
        """Before MQTT 5.0 what is not confirmed is sent again after a while, with DUP (3.1.1: 4.4)."""
        for version in (MQTT_3_1, MQTT_3_1_1):
            self.make_client(versions=(version,), retry_interval=20, keep_alive=0)
            server = self.connect()
            self.publish(b"1", 1)
            self.publish(b"2", 2)
            server.take()
            server.send(PubRec(2))
            self.assertEqual(server.take(), [PubRel(2)])
            self.advance(19)
            self.assertEqual(server.take(), [])
            self.advance(1)
            self.assertEqual(server.take(), [Publish("t", b"1", 1, packet_id=1, dup=True), PubRel(2)])
            self.assertEqual(self.ended.publications, [])

    def test_refused(self) -> None:
        """PUBACK or PUBREC of 0x80 and above ends a message with what was said, for good [MQTT-4.4.0-2]."""
        server = self.connect()
        self.publish(b"1", 1)
        self.publish(b"2", 2)
        server.send(PubAck(1, 0x97, Properties(reason_string="full", user_properties=(("a", "b"),))))
        server.send(PubRec(2, 0x87))
        errors = self.ended.errors
        assert isinstance(errors[0], PublishRefused)
        self.assertEqual(
            (errors[0].reason_code, errors[0].reason_string, errors[0].user_properties),
            (0x97, "full", (("a", "b"),)),
        )
        self.assertEqual(getattr(errors[1], "reason_code", 0), 0x87)
        self.assertEqual(self.client.stats.rejected, 2)
        self.assertEqual(self.client.outgoing.in_flight, {})

    def test_unknown_acknowledgements(self) -> None:
        """PUBREC for no message is answered with 0x92; other acknowledgements of nothing lead to nothing."""
        server = self.connect()
        self.publish(b"1", 1)
        server.take()
        server.send(PubAck(5), PubComp(5), PubComp(1), PubRec(5, 0x80), PubRec(1), PubRec(6))
        self.assertEqual(server.take(), [PubRel(6, 0x92)])
        self.assertEqual(self.ended.publications, [])


class SessionTests(ClientTestCase):
    def lose(self, version: int = MQTT_5, **settings: Any) -> Server:
        """A connection with QoS 1, 2, and 2 with PUBREC under way; then one with a new session."""
        self.make_client(versions=(version,), session_expiry_interval=100, **settings)
        server = self.connect()
        for number in (1, 2, 2):
            self.publish(b"%d" % number, number)
        server.take()
        server.send(PubRec(3))
        server.hang_up()
        return self.connect(False)

    def test_lost(self) -> None:
        """Session Present 0 ends it all: nothing is sent with DUP, and no PUBREL [MQTT-3.2.2-5]."""
        for version in (MQTT_3_1_1, MQTT_5):
            self.ended.publications.clear()
            server = self.lose(version)
            sent = server.take()
            self.assertEqual([(one.payload, one.qos, one.dup) for one in sent], [(b"1", 1, False)])
            [maybe, confirmed] = self.ended.publications
            self.assertEqual(getattr(maybe.error, "maybe", None), True)
            self.assertIsNone(confirmed.error)
            server.send(PubAck(sent[0].packet_id))
            self.assertTrue(self.ended.publications[-1].duplicate_risk)

    def test_on_session_loss(self) -> None:
        """What is sent anew for a lost session the setting says."""
        expected = {"republish": [b"1", b"2"], "republish-qos1": [b"1"], "fail": []}
        for setting, payloads in expected.items():
            server = self.lose(on_session_loss=setting)
            self.assertEqual([one.payload for one in server.take()], payloads)

    def test_mqtt_3_1(self) -> None:
        """MQTT 3.1 can't say that it has lost a session: what is not confirmed is sent again all the same."""
        server = self.lose(MQTT_3_1)
        kinds = [(type(one).__name__, getattr(one, "dup", None)) for one in server.take()]
        self.assertEqual(kinds, [("Publish", True), ("Publish", True), ("PubRel", None)])

    def test_anew_before_the_queue(self) -> None:
        """What goes to a new session once more comes before what has waited."""
        self.make_client(session_expiry_interval=100)
        server = self.connect()
        self.publish(b"1", 1)
        server.hang_up()
        self.publish(b"2", 1)
        server = self.connect(False)
        self.assertEqual([one.payload for one in server.take()], [b"1", b"2"])

    def test_maybe(self) -> None:
        """A message that was sent for a session before may be there, however it ends later."""
        self.make_client(session_expiry_interval=100)
        server = self.connect()
        publication = self.publish(b"1", 1, properties=Properties(message_expiry_interval=5))
        server.hang_up()
        server = Server(self.client)
        self.time.now += 10
        server.accept(False)
        self.assertEqual(server.take(), [])
        assert isinstance(publication.error, NotDelivered)
        self.assertTrue(publication.error.maybe)
