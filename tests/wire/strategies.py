"""Hypothesis strategies: any packet of any version that is right, and any properties for it."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.control import Auth, Disconnect, PingReq, PingResp
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe
from tests.wire import tables
from tests.wire.building import AnyPacket
from tests.wire.tables import PropertyRow

# What a UTF-8 Encoded String may hold (1.5.4), and what a topic level may.
_character = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_level_character = st.characters(exclude_categories=["Cs"], exclude_characters="\0/+#")

strings = st.text(_character, max_size=12)
binaries = st.binary(max_size=12)
packet_ids = st.integers(1, 65_535)
qos = st.integers(0, 2)
levels = st.text(_level_character, max_size=5)
topic_names = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
share_names = st.text(_level_character, min_size=1, max_size=4)


@st.composite
def topic_filters(draw: st.DrawFn) -> str:
    """Any Topic Filter, shared ones among them (4.7.1, 4.8.2)."""
    parts = draw(st.lists(st.one_of(levels, st.just("+")), min_size=1, max_size=4))
    if draw(st.booleans()):
        parts.append("#")
    topic_filter = "/".join(parts) or "#"
    share_name = draw(st.one_of(st.none(), share_names))
    if share_name is not None:
        return f"$share/{share_name}/{topic_filter}"
    return "x" + topic_filter[1:] if topic_filter.startswith("$share/") else topic_filter


def _values(row: PropertyRow) -> st.SearchStrategy[object]:
    if row.valid is not None:
        return st.integers(*row.valid)
    if row.name == "response_topic":
        return topic_names
    if row.type == tables.STRING:
        return strings
    return binaries if row.type == tables.BINARY else st.tuples(strings, strings)


@st.composite
def properties(draw: st.DrawFn, packet: int) -> Properties:
    """Any properties that `packet` may have."""
    drawn = Properties()
    for row in tables.PROPERTIES:
        if packet not in row.packets or not draw(st.booleans()):
            continue
        if row.name == "user_properties":
            drawn.user_properties = tuple(draw(st.lists(st.tuples(strings, strings), max_size=3)))
        elif row.name == "subscription_identifiers":
            most = 3 if packet in row.repeats else 1
            identifiers = draw(st.lists(st.integers(1, 268_435_455), max_size=most))
            drawn.subscription_identifiers = tuple(identifiers)
        else:
            setattr(drawn, row.name, draw(_values(row)))
    return drawn


def _for(version: int, packet: int) -> st.SearchStrategy[Properties | None]:
    """The properties as a packet of `version` has them when it was decoded: None in 3.x."""
    return properties(packet) if version == 5 else st.none()


def _none_in_3_x(version: int, packet: int) -> st.SearchStrategy[Properties]:
    return properties(packet) if version == 5 else st.builds(Properties)


@st.composite
def connects(draw: st.DrawFn, version: int) -> Connect:
    will = None
    if draw(st.booleans()):
        will_properties = draw(_none_in_3_x(version, tables.WILL))
        will = Will(draw(topic_names), draw(binaries), draw(qos), draw(st.booleans()), will_properties)
    username = draw(st.none() | strings)
    password = draw(st.none() | binaries)
    if version != 5 and username is None:
        password = None
    drawn = draw(_none_in_3_x(version, tables.CONNECT))
    if drawn.authentication_method is None:
        drawn.authentication_data = None
    clean_start, keep_alive = draw(st.booleans()), draw(st.integers(0, 65_535))
    return Connect(draw(strings), version, clean_start, keep_alive, will, username, password, drawn)


@st.composite
def connacks(draw: st.DrawFn, version: int) -> ConnAck:
    codes = tables.reason_codes_of(tables.CONNACK) if version == 5 else list(range(6))
    reason_code = draw(st.sampled_from(codes))
    session_present = version != 3 and reason_code == 0 and draw(st.booleans())
    return ConnAck(session_present, reason_code, draw(_none_in_3_x(version, tables.CONNACK)))


@st.composite
def publishes(draw: st.DrawFn, version: int) -> Publish:
    drawn = draw(_for(version, tables.PUBLISH))
    level = draw(qos)
    packet_id = draw(packet_ids) if level else 0
    dup = draw(st.booleans()) if level else False
    has_alias = drawn is not None and drawn.topic_alias is not None
    name = draw(st.just("") | topic_names) if has_alias else draw(topic_names)
    return Publish(name, draw(binaries), level, draw(st.booleans()), drawn, packet_id, dup)


@st.composite
def acknowledgements(draw: st.DrawFn, version: int) -> AnyPacket:
    packet_type, kind = draw(
        st.sampled_from(
            (
                (tables.PUBACK, PubAck),
                (tables.PUBREC, PubRec),
                (tables.PUBREL, PubRel),
                (tables.PUBCOMP, PubComp),
            )
        )
    )
    packet_id = draw(packet_ids)
    if version != 5:
        return kind(packet_id)
    reason_code = draw(st.sampled_from(tables.reason_codes_of(packet_type)))
    return kind(packet_id, reason_code, draw(st.none() | properties(packet_type)))


@st.composite
def subscribes(draw: st.DrawFn, version: int) -> Subscribe:
    subscriptions = []
    for topic_filter in draw(st.lists(topic_filters(), min_size=1, max_size=3)):
        if version != 5:
            subscriptions.append(SubscriptionOptions(topic_filter, draw(qos)))
            continue
        no_local = draw(st.booleans()) and not topic_filter.startswith("$share/")
        as_published, handling = draw(st.booleans()), draw(st.integers(0, 2))
        subscriptions.append(SubscriptionOptions(topic_filter, draw(qos), no_local, as_published, handling))
    return Subscribe(draw(packet_ids), subscriptions, draw(_for(version, tables.SUBSCRIBE)))


@st.composite
def subacks(draw: st.DrawFn, version: int) -> SubAck:
    codes = tables.reason_codes_of(tables.SUBACK) if version == 5 else [0, 1, 2, 0x80]
    reason_codes = draw(st.lists(st.sampled_from(codes), min_size=1, max_size=4))
    return SubAck(draw(packet_ids), reason_codes, draw(_for(version, tables.SUBACK)))


@st.composite
def unsubscribes(draw: st.DrawFn, version: int) -> Unsubscribe:
    filters = draw(st.lists(topic_filters(), min_size=1, max_size=3))
    return Unsubscribe(draw(packet_ids), filters, draw(_for(version, tables.UNSUBSCRIBE)))


@st.composite
def unsubacks(draw: st.DrawFn, version: int) -> UnsubAck:
    if version != 5:
        return UnsubAck(draw(packet_ids), [])
    codes = st.sampled_from(tables.reason_codes_of(tables.UNSUBACK))
    reason_codes = draw(st.lists(codes, min_size=1, max_size=4))
    return UnsubAck(draw(packet_ids), reason_codes, draw(properties(tables.UNSUBACK)))


@st.composite
def disconnects(draw: st.DrawFn, version: int) -> Disconnect:
    if version != 5:
        return Disconnect()
    reason_code = draw(st.sampled_from(tables.reason_codes_of(tables.DISCONNECT)))
    return Disconnect(reason_code, draw(properties(tables.DISCONNECT)))


@st.composite
def auths(draw: st.DrawFn, version: int) -> Auth:
    drawn = draw(properties(tables.AUTH))
    if drawn.authentication_method is None:
        drawn.authentication_method = draw(strings)
    return Auth(draw(st.sampled_from(tables.reason_codes_of(tables.AUTH))), drawn)


def pings(version: int) -> st.SearchStrategy[AnyPacket]:
    return st.sampled_from((PingReq(), PingResp()))


# Each kind of packet with the versions that have it.
KINDS: tuple[tuple[Callable[[int], st.SearchStrategy[AnyPacket]], tuple[int, ...]], ...] = (
    (connects, (3, 4, 5)),
    (connacks, (3, 4, 5)),
    (publishes, (3, 4, 5)),
    (acknowledgements, (3, 4, 5)),
    (subscribes, (3, 4, 5)),
    (subacks, (3, 4, 5)),
    (unsubscribes, (3, 4, 5)),
    (unsubacks, (3, 4, 5)),
    (disconnects, (3, 4, 5)),
    (auths, (5,)),
    (pings, (3, 4, 5)),
)


def packets(version: int) -> st.SearchStrategy[AnyPacket]:
    """Any packet of `version`."""
    return st.one_of(*[kind(version) for kind, versions in KINDS if version in versions])


versions = st.sampled_from((3, 4, 5))
versioned_packets = versions.flatmap(lambda version: st.tuples(st.just(version), packets(version)))
