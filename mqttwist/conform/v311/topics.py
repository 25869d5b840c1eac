"""4.7 Topic Names and Topic Filters."""

from __future__ import annotations

from typing import Final

from mqttwist.conform import raw
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5.connect import closed_by, own_id
from mqttwist.conform.v5.datatypes import NULL, refused_wherever_a_string_stands
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import CheckFailed, about, require_equal
from mqttwist.wire.packet import frame
from mqttwist.wire.subscribe import SubAck

# What looks alike, and would be the same after some normalization: letters, paths, escapes, Unicode forms.
ALIKE: Final = (
    "a/b", "A/b", "a/b/", "/a/b", "a//b", "a/./b", "a/c/../b", " a/b", "a/b ", "a /b", "%61/b", "a\\b", "a.b",
    "\uff41/b", "a\u00ad/b", "\u0430/b", "\u00e9", "e\u0301", "\ufb00", "ff", "\u2126", "\u03a9",
    "\u1e9b\u0323", "\u0378", "\u200b", "\U0001f986", "\u212b", "\u00c5",
)  # fmt: skip


def is_refused(rig: Rig, topic_filter: str) -> None:
    """The Topic Filter, which breaks a rule, is refused with 0x80, or the connection is closed."""
    client = rig.connect()
    client.send(raw.subscribe(rig.version, topic_filter.encode()))
    with about(f"Topic Filter {topic_filter}"):
        try:
            codes = client.expect_next(SubAck).reason_codes
        except CheckFailed:
            client.expect_closed()
        else:
            require_equal(codes, [0x80], "the return codes")


def matches(rig: Rig, topic_filter: str, names: tuple[str, ...], others: tuple[str, ...]) -> None:
    """A subscription to `topic_filter` brings what is published to `names`, and not to `others`."""
    client, publisher = rig.connect(), rig.connect()
    client.subscribe(topic_filter, qos=1)
    for name in names + others:
        publisher.publish(name, name.encode(), 1)
    rig.settle(publisher)
    came = [one.topic_name for one in came_to(rig, client)]
    require_equal(came, [*names], f"the Topic Names that came to {topic_filter}")
    client.disconnect()


@statement("MQTT-4.7.1-1")
def the_topic_of_a_will_has_no_wildcards(rig: Rig) -> None:
    """A Will Topic with + or # in it is refused: the CONNECT does not conform."""
    rig.connect()
    for label in ("+", "#", "a/+", "a#", "+a/b", "a/#"):
        fields = raw.string(rig.topic(label).encode()) + raw.string(b"bye")
        closed_by(rig, f"Will Topic with {label}", raw.connect(rig.version, own_id(rig) + fields, 0x06))


# Wildcards (4.7.1)


@statement("MQTT-4.7.1-2")
def the_number_sign_stands_alone_at_the_end(rig: Rig) -> None:
    """A Topic Filter with # that is not the last character, or not alone in its level, is refused."""
    rig.connect().subscribe(rig.topic("#"))
    for label in ("a#", "a/b#", "#/a", "a/#/b", "##", "#a", "a/#a", "#/", "a/#/", "#/#", "+#", "a/+#", "#+"):
        is_refused(rig, rig.topic(label))
    for topic_filter in ("##", "#/a", "a#", "#/", "+#"):
        is_refused(rig, topic_filter)


@statement("MQTT-4.7.1-2", "MQTT-3.3.2-3")
def the_number_sign_matches_its_parent_and_all_below(rig: Rig) -> None:
    """A final # matches the level before it and any number of levels below, no other ones."""
    below = ("s/t", "s/t/", "s/t/1", "s/t/1/2", "s/t//", "s/t/1/2/3/4/5/6/7/8")
    others = ("s", "s/", "s/tt", "s/T", "S/t", "t", "s/tt/1", "/s/t")
    topics, not_these = [tuple([rig.topic(label) for label in labels]) for labels in (below, others)]
    matches(rig, rig.topic("s/t/#"), topics, not_these)
    matches(rig, rig.topic("#"), topics + not_these, ())
    matches(rig, rig.topic("+/t/#"), topics, tuple([rig.topic(one) for one in ("s", "s/tt", "t", "/s/t")]))


@statement("MQTT-4.7.1-3")
def the_plus_sign_occupies_a_level(rig: Rig) -> None:
    """A Topic Filter with + that is not alone in its level is refused."""
    rig.connect().subscribe(rig.topic("+"))
    for label in ("a+", "+a", "a/b+", "a/+b", "a+/b", "++", "+/a+", "a/+b/c", "+ ", "+a/#"):
        is_refused(rig, rig.topic(label))
    for topic_filter in ("a+", "+a/b", "++"):
        is_refused(rig, topic_filter)


@statement("MQTT-4.7.1-3", "MQTT-3.3.2-3")
def the_plus_sign_matches_one_level(rig: Rig) -> None:
    """A + matches one level, be it empty, and neither none nor two; first, inside and last."""
    for label, names, others in (
        ("s/+", ("s/1", "s/", "s/+x".replace("+", "p")), ("s", "s/1/2", "s//", "t/1", "s/1/")),
        ("s/+/p", ("s/1/p", "s//p"), ("s/p", "s/1/2/p", "s/1", "s/1/p/", "s/1/P")),
        ("+/+", ("s/t", "/t", "s/", "/"), ("s", "s/t/u", "/s/t", "//")),
        ("+", ("s", " "), ("s/t", "s/", "/s")),
        ("+/t/#", ("s/t", "s/t/u", "/t"), ("s", "s/u/t", "t")),
        ("s/+/+/p", ("s/1/2/p", "s///p"), ("s/1/p", "s/1/2/3/p")),
    ):
        matches(
            rig,
            rig.topic(label),
            tuple([rig.topic(name) for name in names]),
            tuple([rig.topic(name) for name in others]),
        )


@statement("MQTT-4.7.1-3", "MQTT-4.7.3-4")
def a_leading_slash_is_a_level(rig: Rig) -> None:
    """A Topic Name that begins with / has an empty first level, which + matches; it is not left out."""
    name = rig.topic("a")
    rest = name.partition("/")[2]
    matches(rig, f"+/{name}", (f"/{name}",), (name, f"//{name}"))
    matches(rig, f"/+/{rest}", (f"/{name}",), (name,))
    matches(rig, f"+/{rest}", (name,), (f"/{name}",))
    matches(rig, f"/{name}", (f"/{name}",), (name, f"/{name}/"))


# $ (4.7.2)


@statement("MQTT-4.7.2-1")
def a_leading_wildcard_does_not_match_a_dollar(rig: Rig) -> None:
    """A Topic Filter that begins with # or + is sent nothing whose Topic Name begins with $."""
    rest = rig.topic("x").partition("/")[2]
    names = (f"$conform/{rest}", f"$/{rest}", f"$SYS/{rest}", f"$SYS/conform/{rest}", f"$conform{rest}")
    publisher = rig.connect()
    for name in names:  # a Server may refuse these, by closing the connection
        rig.connect().publish(name, b"kept", 0, retain=True)
    publisher.publish(rig.topic("x"), b"kept", 1, retain=True)
    found: dict[str, list[str]] = {}
    for topic_filter in ("#", "+/#", f"+/{rest}", f"+/+/{rest}", "+/+/+", "+"):
        client = rig.connect()
        client.subscribe(topic_filter)
        for name in names:
            rig.connect().publish(name, b"new")
        publisher.publish(rig.topic("x"), b"new", 1)
        rig.settle(publisher)
        found[topic_filter] = [one.topic_name for one in came_to(rig, client)]
        client.disconnect()
    for name in names:
        rig.connect().publish(name, b"", 0, retain=True)
    for topic_filter, came in found.items():
        wrong = [name for name in came if name.startswith("$")]
        require_equal(wrong, [], f"Topic Names that begin with $ and came to {topic_filter}")
    for topic_filter in ("#", "+/#", f"+/{rest}", "+/+/+"):
        own = [name for name in found[topic_filter] if name == rig.topic("x")]
        require_equal(len(own), 2, f"how many messages of other topics came to {topic_filter}")


# Names (4.7.3)


@statement("MQTT-4.7.3-1")
def a_topic_has_a_character_at_least(rig: Rig) -> None:
    """An empty Topic Name or Topic Filter closes the connection: PUBLISH, Will, SUBSCRIBE, UNSUBSCRIBE."""
    for what, data in {
        "PUBLISH": raw.publish(rig.version, b"", payload=b"payload"),
        "PUBLISH with QoS 1": raw.publish(rig.version, b"", b"", 2, b"\0\1"),
        "PUBLISH with RETAIN": raw.publish(rig.version, b"", b"", 1),
        "SUBSCRIBE": raw.subscribe(rig.version, b""),
        "SUBSCRIBE, the second": frame(0x82, b"\0\1" + raw.string(rig.topic().encode()) + b"\0\0\0\0"),
        "UNSUBSCRIBE": raw.unsubscribe(rig.version, b""),
        "UNSUBSCRIBE, the second": frame(0xA2, b"\0\1" + raw.string(rig.topic().encode()) + b"\0\0"),
    }.items():
        client = rig.connect()
        client.send(data)
        with about(what):
            client.expect_closed()
    fields = raw.string(b"") + raw.string(b"bye")
    closed_by(rig, "Will Topic", raw.connect(rig.version, own_id(rig) + fields, 0x06))


@statement("MQTT-4.7.3-1")
def one_character_is_enough(rig: Rig) -> None:
    """A level may be empty and a Topic Name of one character is valid: a, a space, /."""
    for name in ("a", " ", "/", "\u00e9", "\U0001f986"):
        client = rig.connect()
        client.subscribe(name, qos=1)
        rig.connect().publish(name, rig.topic().encode(), 1)
        rig.settle(client)
        came = [one.payload for one in came_to(rig, client)]
        require_equal(came.count(rig.topic().encode()), 1, f"how many messages came to {name!r}")
        client.disconnect()


@statement("MQTT-4.7.3-2")
def a_topic_has_no_null_character(rig: Rig) -> None:
    """U+0000 in a Topic Name or Topic Filter closes the connection."""
    refused_wherever_a_string_stands(rig, NULL, "Topic")


@statement("MQTT-4.7.3-3")
def topics_of_65535_bytes_are_whole(rig: Rig) -> None:
    """Topic Names and Topic Filters of up to 65,535 bytes are taken, and told apart by their last byte."""
    for length in (1000, 65_534, 65_535):
        name = rig.topic("x" * (length - len(rig.topic(""))))
        matches(rig, name, (name,), (name[:-1], f"{name[:-1]}y"))
        matches(rig, f"{rig.topic('+')}", (name,), ())


@statement("MQTT-4.7.3-4")
def topics_are_not_normalized(rig: Rig) -> None:
    """Topic Names that look alike are different ones, to live and to retained messages."""
    publisher, clients = rig.connect(), [rig.connect() for _ in ALIKE]
    for client, label in zip(clients, ALIKE, strict=True):
        client.subscribe(rig.topic(label), qos=1)
    for number, label in enumerate(ALIKE):
        publisher.publish(rig.topic(label), str(number).encode(), 1, retain=True)
    rig.settle(publisher)
    for number, (client, label) in enumerate(zip(clients, ALIKE, strict=True)):
        late = rig.connect()
        late.subscribe(rig.topic(label), qos=1)
        for one in (client, late):
            came = [(publish.topic_name, publish.payload) for publish in came_to(rig, one)]
            require_equal(came, [(rig.topic(label), str(number).encode())], f"what came to {label!r}")
        late.disconnect()
