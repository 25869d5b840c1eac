"""4.7 Topic Names and Topic Filters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.datatypes import NULL, refused_wherever_a_string_stands
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.verdict import CheckFailed, about, require, require_equal
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.packet import MQTT_5
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck

LONGEST: Final = 65_535  # bytes of a Topic Name or Topic Filter


def is_refused(rig: Rig, topic_filter: bytes) -> None:
    """SUBSCRIBE to `topic_filter` is refused by SUBACK, or closes the connection."""
    client = rig.connect()
    client.send(raw.subscribe(MQTT_5, topic_filter))
    with about(f"Topic Filter {topic_filter[:80]!r}"):
        try:
            code = client.expect_next(SubAck).reason_codes[0]
        except CheckFailed:
            client.expect_closed(0x81, 0x82, 0x8F)
            return
        require(code >= 0x80, f"it is accepted with 0x{code:02X}")
        client.disconnect()


def received(rig: Rig, subscriber: Client, publisher: Client, names: Iterable[str]) -> list[str]:
    """To which of `names` a message must be published for `subscriber` to be sent one."""
    for name in names:
        publisher.publish(name, name.encode())
    rig.settle(publisher)
    return [one.topic_name for one in came_to(rig, subscriber)]


# Wildcards (4.7.1)


@statement("MQTT-4.7.0-1")
def a_topic_name_with_wildcards_is_refused(rig: Rig) -> None:
    """A PUBLISH, or a CONNECT with a Will, to a Topic Name with + or # closes the connection."""
    subscriber = rig.connect()
    subscriber.subscribe(rig.topic("#"))
    for label in ("+", "#", "a/+", "+/b", "a/+/b", "a/#", "a#", "a+b", "#/a", "++"):
        for flags, packet_id in ((0, b""), (2, b"\0\1"), (4, b"\0\1"), (1, b"")):
            client = rig.connect()
            client.send(raw.publish(MQTT_5, rig.topic(label).encode(), b"", flags, packet_id, b"payload"))
            with about(f"Topic Name with {label}, flags {flags}"):
                client.expect_closed(0x81, 0x82, 0x90)
        client = rig.open()
        will = b"\0" + raw.string(rig.topic(label).encode()) + raw.string(b"bye")
        flags_with_will = raw.CLEAN_START | raw.WILL_FLAG
        client.send(raw.connect(MQTT_5, raw.string(rig.client_id().encode()) + will, flags_with_will))
        with about(f"Will Topic with {label}"):
            client.expect_closed(0x81, 0x82, 0x90)
    rig.reaches(subscriber)


@statement("MQTT-4.7.1-1")
def a_multi_level_wildcard_stands_alone_and_last(rig: Rig) -> None:
    """A Topic Filter with # beside other characters of a level, or not in the last level, is refused."""
    labels = (
        "a#",
        "#a",
        "a/b#",
        "a/#b",
        "#/",
        "#/a",
        "a/#/b",
        "a/#/",
        "##",
        "#/#",
        "+#",
        "#+",
        "a/+#",
        "/#/",
    )
    for label in labels:
        is_refused(rig, rig.topic(label).encode())
        is_refused(rig, label.encode())
        is_refused(rig, f"$share/group/{rig.topic(label)}".encode())


@statement("MQTT-4.7.1-1")
def a_multi_level_wildcard_matches_the_parent_and_all_below(rig: Rig) -> None:
    """A # alone, or last after a slash, is accepted, and matches the parent and any number of levels."""
    names = ("a", "a/", "a/b", "a/b/c", "a/b/c/d/e", "a//", "ab", "ab/c", "b", "b/a")
    for label, expected in (
        ("a/#", ("a", "a/", "a/b", "a/b/c", "a/b/c/d/e", "a//")),
        ("a/b/#", ("a/b", "a/b/c", "a/b/c/d/e")),
        ("a//#", ("a/", "a//")),
        ("+/b/#", ("a/b", "a/b/c", "a/b/c/d/e")),
        ("#", names),
    ):
        matches(rig, label, names, expected)


def matches(rig: Rig, label: str, names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """A subscription to `label` is sent what is published to those of `names` that are `expected`."""
    client, publisher = rig.connect(), rig.connect()
    client.subscribe(rig.topic(label))
    came = received(rig, client, publisher, [rig.topic(name) for name in names])
    require_equal(came, [rig.topic(name) for name in expected], f"what {label!r} matches")
    client.disconnect()
    publisher.disconnect()


@statement("MQTT-4.7.1-2")
def a_single_level_wildcard_takes_a_whole_level(rig: Rig) -> None:
    """A Topic Filter with + beside other characters of a level is refused."""
    for label in ("a+", "+a", "a/b+", "a/+b", "+b/c", "a+/c", "++", "a/++/b", "a/+b/c", "a+b", "+ "):
        is_refused(rig, rig.topic(label).encode())
        is_refused(rig, label.encode())
        is_refused(rig, f"$share/group/{rig.topic(label)}".encode())


@statement("MQTT-4.7.1-2")
def a_single_level_wildcard_matches_one_level(rig: Rig) -> None:
    """A + is accepted in any level, several times and with #, and matches one level, empty ones too."""
    names = ("a", "a/", "/a", "a/b", "a/b/c", "a//c", "//", "b/b/c", "a/b/c/d", "/")
    for label, expected in (
        ("+", ("a",)),
        ("a/+", ("a/", "a/b")),
        ("+/b", ("a/b",)),
        ("+/+", ("a/", "/a", "a/b", "/")),
        ("/+", ("/a", "/")),
        ("+/", ("a/", "/")),
        ("a/+/c", ("a/b/c", "a//c")),
        ("+/b/+", ("a/b/c", "b/b/c")),
        ("+/+/+", ("a/b/c", "a//c", "//", "b/b/c")),
        ("+/+/+/#", ("a/b/c", "a//c", "//", "b/b/c", "a/b/c/d")),
        ("a/+/#", ("a/", "a/b", "a/b/c", "a//c", "a/b/c/d")),
    ):
        matches(rig, label, names, expected)


@statement("MQTT-4.7.1-1", "MQTT-4.7.1-2")
def wildcards_may_stand_in_the_first_level(rig: Rig) -> None:
    """Wildcards match in the first level as they do in others: #, +, +/+ and /+ are Topic Filters."""
    publisher, name = rig.connect(), rig.client_id()
    names = (name, f"/{name}", f"{name}/", f"{name}/{name}")
    for topic_filter, expected in (
        ("#", names),
        ("+", names[:1]),
        ("/+", names[1:2]),
        ("+/+", names[1:]),
        ("/#", names[1:2]),
        ("+/#", names),
        (f"+/{name}", (names[1], names[3])),
    ):
        client = rig.connect()
        client.subscribe(topic_filter)
        came = [one for one in received(rig, client, publisher, names) if name in one]
        require_equal(came, [*expected], f"what {topic_filter!r} matches")
        client.disconnect()


# Topics with $ (4.7.2)


@statement("MQTT-4.7.2-1")
def a_wildcard_in_front_does_not_match_a_dollar(rig: Rig) -> None:
    """A Topic Filter that begins with a wildcard matches no Topic Name that begins with $."""
    publisher, name = rig.connect(), rig.client_id()
    for topic_filter in ("#", "+/#", "+/+", f"+/{name}", f"+/{name}/#", "+/+/+", "$share/group/#"):
        client = rig.connect()
        client.subscribe(topic_filter, qos=1)
        for prefix in ("$SYS", "$", "$conform", "$$"):
            for topic_name in (f"{prefix}/{name}", f"{prefix}/{name}/a", f"{prefix}{name}"):
                publisher.send(Publish(topic_name, b"payload"))
        plain = f"conform/{name}/a" if topic_filter == "+/+/+" else f"conform/{name}"
        publisher.publish(plain, b"plain", 1)
        rig.settle(publisher)
        came = [one.topic_name for one in came_to(rig, client)]
        found = [one for one in came if one.startswith("$") or one == plain]
        require_equal(found, [plain], f"what {topic_filter!r} matches of the topics with $ and {plain!r}")
        client.disconnect()


@statement("MQTT-4.7.2-1")
def retained_messages_with_a_dollar_are_not_sent_to_wildcards(rig: Rig) -> None:
    """What is retained under $SYS and the like is not sent to filters that begin with a wildcard."""
    publisher, kept = rig.connect(), f"$conform/{rig.client_id()}"
    publisher.send(Publish(kept, b"kept", 1, True, packet_id=1))
    publisher.expect(PubAck)  # which may say no
    publisher.publish(rig.topic(), b"kept", 1, retain=True)
    try:
        for topic_filter in ("#", "+/#", "+/+", "+/+/+", "+/broker/#", "+/broker/version", f"+{kept[8:]}"):
            client = rig.connect()
            client.subscribe(topic_filter)
            rig.settle(client)
            found = [one for one in client.retained_topics() if one.startswith("$") or one == rig.topic()]
            expected = [rig.topic()] if topic_filter in ("#", "+/#", "+/+/+") else []
            require_equal(found, expected, f"the retained topics that came for {topic_filter!r}")
            client.drop()
    finally:
        publisher.send(Publish(kept, b"", retain=True))


@statement("MQTT-4.7.2-1")
def a_dollar_elsewhere_is_a_character(rig: Rig) -> None:
    """A $ in other places than the first is matched by wildcards like any other character."""
    names = ("$a", "a$", "$a/$b", "a/$")
    for label, expected in (
        ("+", ("$a", "a$")),
        ("#", names),
        ("+/+", ("$a/$b", "a/$")),
        ("$a/#", ("$a", "$a/$b")),
    ):
        matches(rig, label, names, expected)


# What names and filters are made of (4.7.3)


@statement("MQTT-4.7.3-1")
def topics_have_a_character(rig: Rig) -> None:
    """An empty Topic Name of a PUBLISH or a Will, or an empty Topic Filter, is refused; "/" is not."""
    client = rig.connect()
    client.send(raw.publish(MQTT_5, b"", b"", 0, b"", b"payload"))
    client.expect_closed(0x81, 0x82, 0x90)
    client = rig.open()
    will = raw.string(rig.client_id().encode()) + b"\0" + raw.string(b"") + raw.string(b"bye")
    client.send(raw.connect(MQTT_5, will, raw.CLEAN_START | raw.WILL_FLAG))
    client.expect_closed(0x81, 0x82, 0x90)
    is_refused(rig, b"")
    client = rig.connect()
    client.send(raw.unsubscribe(MQTT_5, b""))
    client.expect_closed(0x81, 0x82, 0x8F)
    client = rig.connect()
    client.subscribe("/")
    client.publish("/", b"payload")
    require_equal(client.message().topic_name, "/", "the Topic Name")


@statement("MQTT-4.7.3-2")
def topics_have_no_null_character(rig: Rig) -> None:
    """A Topic Name, Topic Filter or Will Topic with U+0000, wherever, closes the connection."""
    refused_wherever_a_string_stands(rig, NULL, "Topic")


@statement("MQTT-4.7.3-3")
def topics_of_65535_bytes_are_taken(rig: Rig) -> None:
    """A Topic Name and a Topic Filter may have 65,535 bytes, of one byte each or several to a character."""
    client, base = rig.connect(), rig.topic("")
    for character in ("x", "é", "🦆"):
        size = len(character.encode())
        count = (LONGEST - len(base)) // size
        longest = base + character * count + "y" * ((LONGEST - len(base)) % size)
        require_equal(len(longest.encode()), LONGEST, "the length")
        for topic_filter in (longest, rig.topic("#")):
            client.subscribe(topic_filter)
            client.publish(longest, b"payload")
            require(client.message().topic_name == longest, "another Topic Name came")
            client.unsubscribe(topic_filter)
    client.expect_nothing()


# Alike to some eyes, programs or file systems; with escapes where the difference cannot be seen.
ALIKE: Final = (
    *("a/b", "A/b", "a/B", "a//b", "/a/b", "a/b/", "a/./b", "a/../a/b", " a/b", "a/b ", "a/ b", "a%2Fb"),
    *("\xe9", "e\u0301", "\xc9", "\ufb01", "fi", "\xc5", "\u212b", "A\u030a", "\uff41", "a", "\xdf", "ss"),
    *("\u0130", "i\u0307", "\u0131", "i", "I", "\u200b", "\u200ba", "\ufeffa", "a\xad", "\xa0", " ", "\\"),
    *("%61", "&amp;", "&", "*", "?", "\uac00", "\u1100\u1161", "\U0001f986", "\ufffd", "\u202ea", "~", "."),
)


@statement("MQTT-4.7.3-4")
def topics_are_not_normalized(rig: Rig) -> None:
    """Topics that look alike, or that some would clean up, are different, and arrive as they were sent."""
    publisher, every = rig.connect(), rig.connect()
    every.subscribe(rig.topic("#"))
    clients = {name: rig.connect() for name in ALIKE}
    for name, client in clients.items():
        client.subscribe(rig.topic(name))
    for name in ALIKE:
        publisher.publish(rig.topic(name), name.encode(), 1)
        require_equal(every.message().topic_name, rig.topic(name), "the Topic Name that came for #")
    for name, client in clients.items():
        with about(f"Topic Filter {name!r}"):
            require_equal(client.message().topic_name, rig.topic(name), "the Topic Name")
            client.expect_nothing()


@statement("MQTT-4.7.3-4")
def retained_topics_are_not_normalized(rig: Rig) -> None:
    """Retained messages of topics that look alike stand side by side, each under its own name."""
    publisher = rig.connect()
    for name in ALIKE:
        publisher.publish(rig.topic(name), name.encode(), 1, retain=True)
    for name in ALIKE:
        client = rig.connect()
        client.subscribe(rig.topic(name))
        publish = client.message()
        found = (publish.topic_name, publish.payload)
        require_equal(found, (rig.topic(name), name.encode()), "what is retained")
        client.expect_nothing()
        client.disconnect()
