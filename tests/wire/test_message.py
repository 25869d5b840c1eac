"""The Application Message: what it holds, and that all its forms say the same, wherever it came from."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire.codec import decode_stream
from mqttwist.wire.message import FORM_MQTT_5, FORM_RETAIN, Form, Message
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish, hop_properties
from tests.wire.building import field, packet, pair, property_list

TOPIC = "gr\u00fc\u00dfe/1"
PACKET_ID = b"\x12\x34"

FORWARDED = (
    b"\x26" + pair(b"b", b"1"),
    b"\x01\x01",
    b"\x03" + field(b"text/plain"),
    b"\x26" + pair(b"a", b"2"),
    b"\x08" + field(b"answer/here"),
    b"\x09" + field(b"\x00\xff"),
    b"\x26" + pair(b"b", b"0"),
)
OF_THIS_HOP = (b"\x02\x00\x00\x00\x3c", b"\x23\x00\x07", b"\x0b\x80\x01", b"\x0b\x05")
PROPERTIES = Properties(
    payload_format_indicator=1,
    content_type="text/plain",
    response_topic="answer/here",
    correlation_data=b"\x00\xff",
    user_properties=(("b", "1"), ("a", "2"), ("b", "0")),
)

# What may stand in a PUBLISH of 5.0 that comes in: nothing, what is forwarded, that mixed with what is not.
LISTS = {
    "no properties": (),
    "forwarded ones": FORWARDED,
    "those of the hop": OF_THIS_HOP,
    "those of the hop first": OF_THIS_HOP + FORWARDED,
    "those of the hop last": FORWARDED + OF_THIS_HOP,
    "those of the hop between": tuple(one for two in zip(FORWARDED, OF_THIS_HOP, strict=False) for one in two)
    + FORWARDED[4:],
}


def received(version: int, qos: int, retain: bool, payload: bytes, parts: tuple[bytes, ...] = ()) -> Publish:
    """A PUBLISH as it comes out of the decoder, in a read that has other packets before and behind it."""
    properties = property_list(*parts) if version == 5 else b""
    packet_id = b"\x00\x09" if qos else b""
    data = packet(0x30 | qos << 1 | retain, field(TOPIC.encode()), packet_id, properties, payload)
    publish = decode_stream(b"\xc0\x00" + data + b"\xc0\x00", version)[1]
    assert isinstance(publish, Publish)
    return publish


def keys() -> Iterator[tuple[int, int, int, bool]]:
    """Every form there is: its key, the version it is for, its QoS and its RETAIN flag."""
    for version in (3, 4, 5):
        for qos in (0, 1, 2):
            for retain in (False, True):
                key = qos | (FORM_RETAIN if retain else 0) | (FORM_MQTT_5 if version == 5 else 0)
                yield key, version, qos, retain


def sent(form: Form) -> bytes:
    """The bytes that go out for a form."""
    return form.head + (PACKET_ID if form.key & 3 else b"") + form.tail


class FormTests(SynchronousTestCase):
    def check(self, message: Message, payload: bytes, properties: Properties) -> None:
        """All forms of `message` decode to the same content, with the QoS and RETAIN of the form."""
        for key, version, qos, retain in keys():
            with self.subTest(version=version, qos=qos, retain=retain):
                form = message.form(key)
                data = sent(form)
                (publish,) = decode_stream(data, version)
                expected = Publish(
                    TOPIC,
                    payload,
                    qos,
                    retain,
                    properties if version == 5 else None,
                    packet_id=0x1234 if qos else 0,
                )
                self.assertEqual(publish, expected)

    def test_made_by_a_caller(self) -> None:
        """A message from a caller has every form, whatever QoS and RETAIN it was made with."""
        for qos in (0, 1, 2):
            for retain in (False, True):
                self.check(Message.create(TOPIC, b"hi", qos, retain), b"hi", Properties())
                self.check(Message.create(TOPIC, b"", qos, retain, PROPERTIES), b"", PROPERTIES)

    def test_received(self) -> None:
        """A message from the wire has every form, whatever version, QoS and properties it came with."""
        for _, version, qos, retain in keys():
            for what, parts in LISTS.items() if version == 5 else [("none", ())]:
                for payload in (b"", b"\x00", b"hi"):
                    with self.subTest(what, version=version, qos=qos, retain=retain):
                        has_forwarded = FORWARDED[0] in parts
                        self.check(
                            received(version, qos, retain, payload, parts),
                            payload,
                            PROPERTIES if has_forwarded else Properties(),
                        )

    def test_lengths_around_the_limits(self) -> None:
        """The Remaining Length of a form is right where its own length changes."""
        for size in (110, 111, 112, 113, 114, 115, 116, 117, 118, 16_360, 16_370, 16_375, 16_380):
            self.check(Message.create(TOPIC, bytes(size)), bytes(size), Properties())
            self.check(received(4, 1, False, bytes(size)), bytes(size), Properties())

    def test_user_properties_keep_their_order(self) -> None:
        """User Properties are forwarded unaltered and in order [MQTT-3.3.2-17] [MQTT-3.3.2-18]."""
        for what, parts in LISTS.items():
            if FORWARDED[0] in parts:
                with self.subTest(what):
                    message = received(5, 1, False, b"", parts)
                    self.assertEqual(message.forwarded, b"".join(FORWARDED))

    def test_a_form_is_encoded_once(self) -> None:
        """A form is shared by all who ask for it."""
        message = Message.create(TOPIC, b"hi", 1)
        forms = [message.form(key) for key, *_ in keys()]
        self.assertTrue(all(message.form(form.key) is form for form in forms))

    def test_3_1_and_3_1_1_share_their_forms(self) -> None:
        """There is no difference between 3.1 and 3.1.1 in a PUBLISH: there are twelve forms, not eighteen."""
        self.assertEqual(len({key for key, *_ in keys()}), 12)

    def test_forms_can_be_forgotten(self) -> None:
        """A message that is going to wait gives the memory of its forms back; later they are the same."""
        message = received(5, 0, False, b"hi", FORWARDED)
        before = {key: sent(message.form(key)) for key, *_ in keys()}
        kept = message.form(1)
        message.forms = None
        self.assertIsNot(message.form(1), kept)
        self.assertEqual({key: sent(message.form(key)) for key, *_ in keys()}, before)


class ForwardingTests(SynchronousTestCase):
    def test_the_very_bytes(self) -> None:
        """A QoS 0 PUBLISH that needs no change is forwarded as the bytes it came in."""
        for version, parts in ((3, ()), (4, ()), (5, ()), (5, FORWARDED)):
            for retain in (False, True):
                with self.subTest(version=version, parts=len(parts), retain=retain):
                    properties = property_list(*parts) if version == 5 else b""
                    data = packet(0x30 | retain, field(b"t"), properties, b"hi")
                    (message,) = decode_stream(data, version)
                    assert isinstance(message, Message)
                    key = (FORM_MQTT_5 if version == 5 else 0) | (FORM_RETAIN if retain else 0)
                    tail = message.form(key).tail
                    self.assertEqual(tail, data)
                    self.assertEqual(message.form(key).head, b"")
                    message.forms = None
                    self.assertIs(message.form(key).tail, tail)  # kept, not encoded

    def test_a_part_of_a_read(self) -> None:
        """From a read with more packets it is forwarded as the bytes of its own packet."""
        message = received(5, 0, True, b"hi", FORWARDED)
        data = packet(0x31, field(TOPIC.encode()), property_list(*FORWARDED), b"hi")
        self.assertEqual(message.form(FORM_MQTT_5 | FORM_RETAIN).tail, data)

    def test_what_must_not_be_forwarded(self) -> None:
        """Topic Alias, Subscription Identifier and Message Expiry Interval stay behind [MQTT-3.3.2-7]."""
        for what, parts in LISTS.items():
            with self.subTest(what):
                message = received(5, 0, False, b"hi", parts)
                data = message.form(FORM_MQTT_5).tail
                (publish,) = decode_stream(data, 5)
                assert isinstance(publish, Publish)
                self.assertEqual(publish.topic_alias, 0)
                self.assertEqual(publish.subscription_identifiers, ())
                self.assertEqual(publish.message_expiry_interval, -1)

    def test_qos_1_shares_what_follows_the_packet_identifier(self) -> None:
        """At QoS 1 and 2 of 5.0 the tail is kept as it came and is one object in all forms."""
        message = received(5, 1, False, b"hi", FORWARDED)
        self.assertEqual(message.form(FORM_MQTT_5 | 1).tail, property_list(*FORWARDED) + b"hi")
        self.assertIs(message.form(FORM_MQTT_5 | 2).tail, message.form(FORM_MQTT_5 | 1).tail)

    def test_from_3_1_1_to_5(self) -> None:
        """What came in 3.1.1 gets an empty property list for 5.0, and the other way round loses its own."""
        self.assertEqual(
            sent(received(4, 0, False, b"hi").form(FORM_MQTT_5 | 1)),
            packet(0x32, field(TOPIC.encode()), PACKET_ID, b"\x00", b"hi"),
        )
        self.assertEqual(
            sent(received(5, 2, False, b"hi", FORWARDED).form(FORM_RETAIN)),
            packet(0x31, field(TOPIC.encode()), b"hi"),
        )

    def test_a_payload_that_looks_like_properties(self) -> None:
        """The payload is taken from where the properties end, whatever it holds."""
        payload = property_list(*FORWARDED)
        for version in (4, 5):
            for qos in (0, 1):
                message = received(version, qos, False, payload, FORWARDED)
                self.assertEqual(message.payload, payload)
                self.assertEqual(message.payload_size, len(payload))

    def test_when_an_alias_was_resolved(self) -> None:
        """A message that came with an alias is forwarded with the name that was put in."""
        (message,) = decode_stream(packet(0x30, b"\x00\x00", property_list(b"\x23\x00\x01"), b"hi"), 5)
        assert isinstance(message, Publish)
        message.topic_name = TOPIC
        for key, version, qos, _ in keys():
            (publish,) = decode_stream(sent(message.form(key)), version)
            assert isinstance(publish, Publish)
            self.assertEqual((publish.topic_name, publish.payload, publish.qos), (TOPIC, b"hi", qos))

    def test_with_properties_of_the_next_hop(self) -> None:
        """`tail_with` puts the properties of the next hop before those that are forwarded."""
        message = received(5, 1, False, b"hi", FORWARDED)
        more = hop_properties(3, 59, (1, 2))
        self.assertEqual(message.tail_with(more), property_list(more, *FORWARDED) + b"hi")
        self.assertEqual(message.tail_with(b""), property_list(*FORWARDED) + b"hi")

    def test_hop_properties(self) -> None:
        """The properties of one hop, each of which may be missing."""
        self.assertEqual(hop_properties(0, -1, ()), b"")
        self.assertEqual(hop_properties(7, -1, ()), b"\x23\x00\x07")
        self.assertEqual(hop_properties(0, 0, ()), b"\x02\x00\x00\x00\x00")
        self.assertEqual(hop_properties(0, -1, (5, 128)), b"\x0b\x05\x0b\x80\x01")
        self.assertEqual(len(hop_properties(1, 1, (1,))), 10)
        self.assertRaises(ValueError, hop_properties, 65_536, -1, ())
        self.assertRaises(ValueError, hop_properties, 0, 1 << 32, ())


class MessageTests(SynchronousTestCase):
    def test_create(self) -> None:
        """A message from a caller holds what it was made of."""
        properties = Properties(message_expiry_interval=60, content_type="c")
        message = Message.create("t", b"hi", 1, True, properties)
        self.assertEqual((message.topic_name, message.payload, message.qos), ("t", b"hi", 1))
        self.assertTrue(message.retain)
        self.assertEqual(message.payload_size, 2)
        self.assertEqual(message.message_expiry_interval, 60)
        self.assertEqual(message.properties, properties)
        self.assertEqual(message.expires_at, 0.0)

    def test_defaults(self) -> None:
        """Without more than a topic and a payload it is QoS 0, not retained and without properties."""
        message = Message.create("t", b"")
        self.assertEqual((message.qos, message.retain, message.forwarded), (0, False, b""))
        self.assertEqual(message.message_expiry_interval, -1)
        self.assertEqual(message.properties, Properties())

    def test_create_refuses(self) -> None:
        """A caller's mistake is a ValueError at once."""
        for topic, qos, properties in (
            ("", 0, None),
            ("a/#", 0, None),
            ("a/+/b", 0, None),
            ("a\0", 0, None),
            ("x" * 65_536, 0, None),
            ("t", 3, None),
            ("t", -1, None),
            ("t", 0, Properties(payload_format_indicator=2)),
            ("t", 0, Properties(message_expiry_interval=-1)),
            ("t", 0, Properties(message_expiry_interval=1 << 32)),
            ("t", 0, Properties(response_topic="a/#")),
            ("t", 0, Properties(response_topic="")),
            ("t", 0, Properties(content_type="\0")),
            ("t", 0, Properties(correlation_data=bytes(65_536))),
            ("t", 0, Properties(user_properties=(("\ud800", ""),))),
        ):
            with self.subTest(topic=topic[:10], qos=qos, properties=properties):
                self.assertRaises(ValueError, Message.create, topic, b"", qos, False, properties)

    def test_properties_of_another_hop_are_not_taken(self) -> None:
        """Of the properties those that a PUBLISH forwards are taken, and the expiry, nothing else."""
        message = Message.create("t", b"", properties=Properties(will_delay_interval=5, topic_alias=3))
        self.assertEqual(message.properties, Properties())

    def test_size(self) -> None:
        """The size is about what the message takes in memory: topic, payload and properties."""
        message = Message.create("topic", bytes(1000), properties=Properties(content_type="c" * 100))
        self.assertEqual(message.size, 5 + 1000 + 103)
        self.assertGreaterEqual(received(5, 0, False, bytes(1000), FORWARDED).size, 1000)

    def test_repr(self) -> None:
        """For a log: the topic, the QoS, RETAIN and how long the payload is, never the payload itself."""
        self.assertEqual(repr(Message.create("t", b"secret", 1)), "<Message 't' qos 1, 6 bytes>")
        self.assertEqual(repr(Message.create("t", b"", 0, True)), "<Message 't' qos 0, retain, 0 bytes>")
