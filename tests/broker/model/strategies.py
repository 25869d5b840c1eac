"""What the two clients of the machine say."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from mqttwist.session.session import NEVER as NO_EXPIRY
from mqttwist.wire.connect import Connect, Will
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions
from tests.broker.model.messages import is_shared

SHARE = "$share/g/$s/#"  # no other filter matches what it does: so it is clear which copy is its
TOPICS = ["a", "a", "a/b", "b", "$x/b", "$s/b", "$t"]
FILTERS = ["a/#", "a/#", "a/#", "a/#", "a", "#", "a/b", "a/+", "+", "+/b", "$x/#"]
FILTERS += [SHARE, SHARE, SHARE, "$share/h/$t"]
EVERYTHING = ["#", "$x/#", "$s/#", "$t"]
ALL = 1 << 20  # bytes

names = st.sampled_from([0, 1])
filters = st.sampled_from(FILTERS)
qos_levels = st.sampled_from([0, 1, 1, 2, 2])
mostly = st.sampled_from([True, True, True, False])
seldom = st.sampled_from([False, False, False, True])
expiries = st.sampled_from([None, None, None, 0, 5, 60, 60])
sizes = st.one_of(st.just(ALL), st.integers(1, 40))


@st.composite
def connects(draw: DrawFn) -> Connect:
    """A CONNECT; the client puts in its Client Identifier and a Will Payload of its own."""
    version = draw(st.sampled_from([3, 4, 5, 5, 5]))
    connect = Connect("", version, draw(seldom), draw(st.sampled_from([0, 0, 0, 20])))
    if version == 5:
        connect.properties = Properties(
            session_expiry_interval=draw(st.sampled_from([None, 0, 30, 300, NO_EXPIRY, NO_EXPIRY])),
            receive_maximum=draw(st.sampled_from([None, 1, 2, 3])),
            topic_alias_maximum=draw(st.sampled_from([None, 1, 2])),
        )
    will = draw(st.sampled_from([None, ("a", 1, False), ("a/b", 2, True), ("b", 0, False)]))
    if will is not None:
        connect.will = Will(will[0], b"", will[1], will[2])
        if version == 5:
            delay = draw(st.sampled_from([None, 10, 100]))
            connect.will.properties = Properties(
                will_delay_interval=delay, message_expiry_interval=draw(expiries)
            )
    return connect


def lasting_connect(version: int, receive_maximum: int | None, has_will: bool) -> Connect:
    """A CONNECT that goes on with a session, or begins one that does not expire."""
    connect = Connect("", version, False)
    if has_will:
        connect.will = Will("a", b"", 1)
    if version == 5:
        if connect.will is not None:
            connect.will.properties = Properties(will_delay_interval=5)
        connect.properties = Properties(
            session_expiry_interval=NO_EXPIRY, receive_maximum=receive_maximum, topic_alias_maximum=1
        )
    return connect


@st.composite
def lasting_connects(draw: DrawFn) -> list[Connect]:
    """Two of these, one at least of 5.0."""
    receive_maximum = draw(st.sampled_from([None, 1, 1, 2]))
    versions = draw(st.sampled_from([(4, 5), (5, 4), (3, 5), (5, 5), (5, 5)]))
    return [lasting_connect(version, receive_maximum, draw(st.booleans())) for version in versions]


@st.composite
def subscribes(draw: DrawFn) -> Subscribe:
    """A SUBSCRIBE without its Packet Identifier; what 5.0 has alone is not encoded for 3.x."""
    qos = draw(qos_levels)
    no_local = draw(seldom)
    as_published = draw(st.booleans())
    handling = draw(st.sampled_from([0, 1, 1, 2]))
    identifier = draw(st.sampled_from([0, 0, 1, 2]))
    topic_filters = draw(st.lists(filters, min_size=1, max_size=2, unique=True))
    return Subscribe(
        0,
        [
            SubscriptionOptions(one, qos, no_local and not is_shared(one), as_published, handling)
            for one in topic_filters
        ],
        Properties(subscription_identifiers=(identifier,)) if identifier else Properties(),
    )


@st.composite
def publishes(draw: DrawFn) -> list[Publish]:
    """A few PUBLISH of one kind; an empty payload is meant so, b"?" stands for one of their own."""
    qos = draw(qos_levels)
    kind = draw(st.sampled_from(["plain", "retained", "empty and retained"]))
    expiry = draw(expiries)
    packets = []
    for topic in draw(st.lists(st.sampled_from(TOPICS), min_size=1, max_size=3)):
        packet = Publish(topic, b"" if kind == "empty and retained" else b"?", qos, kind != "plain")
        if expiry is not None:
            packet.message_expiry_interval = expiry
        packets.append(packet)
    return packets
