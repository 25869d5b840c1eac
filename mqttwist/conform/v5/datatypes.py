"""1.5 Data representation."""

from __future__ import annotations

from typing import Final

from mqttwist.conform import raw
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import CheckFailed, about, require_equal
from mqttwist.wire.datatypes import encode_variable_byte_integer
from mqttwist.wire.packet import frame
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish

ILL_FORMED: Final = {
    "a byte that UTF-8 does not have": b"a\xff",
    "a continuation without a beginning": b"\x80a",
    "a sequence that is cut": b"a\xe2\x82",
    "a slash in two bytes": b"a\xc0\xaf",
    "the first surrogate": b"\xed\xa0\x80",
    "the last surrogate": b"\xed\xbf\xbf",
    "a surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "a code point beyond U+10FFFF": b"\xf4\x90\x80\x80",
    "five bytes for one code point": b"\xf8\x88\x80\x80\x80",
}
NULL: Final = {
    "alone": b"\0",
    "first": b"\0a",
    "inside": b"a\0b",
    "last": b"a\0",
    "in two bytes": b"a\xc0\x80",
}
BOM: Final = "\ufeff"


def refused_wherever_a_string_stands(rig: Rig, texts: dict[str, bytes], only: str = "") -> None:
    """Each of `texts` closes the connection, in the places that have `only` in their name."""
    in_connect, later = raw.string_places(rig.version)
    for place, build in (in_connect | later).items():
        if only not in place:
            continue
        for what, text in texts.items():
            client = rig.open() if place in in_connect else rig.connect()
            client.send(build(rig, text))
            with about(f"{place} with {what}, {text!r}"):
                client.expect_closed()


@statement("MQTT-1.5.4-1")
def ill_formed_utf_8_closes_the_connection(rig: Rig) -> None:
    """A string that is not well-formed UTF-8 closes the connection, surrogates too, wherever it stands."""
    refused_wherever_a_string_stands(rig, ILL_FORMED)


@statement("MQTT-1.5.4-2")
def u_0000_in_a_string_closes_the_connection(rig: Rig) -> None:
    """A string with U+0000 closes the connection, wherever it stands."""
    refused_wherever_a_string_stands(rig, NULL)


@statement("MQTT-1.5.4-3")
def u_feff_is_neither_skipped_nor_stripped(rig: Rig) -> None:
    """U+FEFF is a character of a Topic Name and of each property, first, inside and last."""
    subscriber, other, publisher = rig.connect(), rig.connect(), rig.connect()
    other.subscribe(rig.topic("ab"))
    for text in (f"{BOM}ab", f"a{BOM}b", f"ab{BOM}", BOM, f"{BOM}{BOM}"):
        topic_name = rig.topic(text)
        subscriber.subscribe(topic_name)
        properties = Properties(content_type=text, response_topic=text, user_properties=((text, text),))
        publisher.send(Publish(topic_name, text.encode(), properties=properties))
        publish = subscriber.expect(Publish)
        require_equal(publish.topic_name, topic_name, "the Topic Name")
        require_equal(publish.properties, properties, "the properties")
    other.expect_nothing()
    first = rig.connect(f"{BOM}{rig.client_id()}")
    rig.connect(first.client_id.removeprefix(BOM))
    first.expect_nothing()  # another client


@statement("MQTT-1.5.5-1")
def the_server_sends_shortest_variable_byte_integers(rig: Rig) -> None:
    """The Remaining Length, Property Length and Subscription Identifier come in the fewest bytes."""
    publisher = rig.connect()
    for value in (1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455):
        subscriber = rig.connect()
        subscriber.subscribe(rig.topic(), identifier=value)
        # 0x0B and the identifier, and a Content Type that makes the list of properties as long as `value`
        identifier = b"\x0b" + encode_variable_byte_integer(value)
        for size in {0, 127 - len(identifier) - 3, 128 - len(identifier) - 3}:
            content = b"\x03" + raw.string(b"c" * size)
            publisher.send(raw.publish(rig.version, rig.topic().encode(), content))
            subscriber.expect(Publish)
            body = raw.string(rig.topic().encode())
            either = [raw.listed(5, identifier + content), raw.listed(5, content + identifier)]
            if subscriber.packet_bytes not in [frame(0x30, body + properties) for properties in either]:
                raise CheckFailed(f"expected the shortest form, got {subscriber.packet_bytes!r}")
        subscriber.disconnect()


@statement("MQTT-1.5.5-1")
def the_server_sends_the_shortest_remaining_length(rig: Rig) -> None:
    """A Remaining Length of 127, 128, 16,383, 16,384, 2,097,151 and 2,097,152 comes in the fewest bytes."""
    subscriber, publisher = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic())
    head = raw.string(rig.topic().encode()) + b"\0"
    for length in (127, 128, 16_383, 16_384, 2_097_151, 2_097_152):
        publisher.send(frame(0x30, head + bytes(length - len(head))))
        subscriber.expect(Publish)
        wanted = b"\x30" + encode_variable_byte_integer(length) + head
        require_equal(subscriber.packet_bytes[: len(wanted)], wanted, "the beginning of the PUBLISH")


@statement("MQTT-1.5.5-1")
def longer_variable_byte_integers_close_the_connection(rig: Rig) -> None:
    """A Remaining Length, Property Length or Subscription Identifier with a needless byte is malformed."""
    topic = raw.string(rig.topic().encode())
    for zeros in (b"\x80\x00", b"\x80\x80\x00", b"\x80\x80\x80\x00"):
        body = topic + b"\0"
        for what, data in {
            "Remaining Length": b"\xc0" + zeros,
            "Remaining Length of a PUBLISH": b"\x30" + bytes((len(body) | 0x80,)) + zeros[1:] + body,
            "Property Length": frame(0x30, topic + zeros),
            "Subscription Identifier": raw.subscribe(
                5, rig.topic().encode(), 0, b"\x0b" + bytes((0x81,)) + zeros[1:]
            ),
        }.items():
            client = rig.connect()
            client.send(data)
            with about(f"{what} with {len(zeros) - 1} needless bytes"):
                client.expect_closed()


@statement("MQTT-1.5.5-1")
def variable_byte_integers_of_five_bytes_close_the_connection(rig: Rig) -> None:
    """A Remaining Length that goes on after its fourth byte is malformed."""
    for data in (b"\xc0\x80\x80\x80\x80\x00", b"\x30\xff\xff\xff\xff\x7f", b"\xe0\x80\x80\x80\x80\x80"):
        client = rig.connect()
        client.send(data)
        client.expect_closed()


@statement("MQTT-1.5.7-1")
def both_strings_of_a_pair_are_utf_8(rig: Rig) -> None:
    """An ill-formed name or value of a User Property closes the connection, and so does U+0000 in it."""
    refused_wherever_a_string_stands(rig, ILL_FORMED | NULL, "User Property")


@statement("MQTT-1.5.7-1")
def string_pairs_arrive_as_they_were_sent(rig: Rig) -> None:
    """Names and values of User Properties, empty and not of ASCII, arrive unaltered."""
    subscriber = rig.connect()
    subscriber.subscribe(rig.topic())
    pairs = (("", ""), ("ключ", "🦆"), ("ключ", ""), ("", "\ud7ff\ue000"))
    rig.connect().publish(rig.topic(), user_properties=pairs)
    require_equal(subscriber.expect(Publish).properties.user_properties, pairs, "the User Properties")
