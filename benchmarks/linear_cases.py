"""What `linear.py` measures: whatever a client can make large, as a size to a piece of work.

Every case prepares a broker and answers the work that counts. The limits of the broker are as far off as
MQTT's own, so that nothing is refused; `Peer` sees to that.
"""

from __future__ import annotations

from linear_packets import (
    acknowledge_properties,
    connect_long,
    connect_properties,
    fan_out,
    identifiers,
    leave_with_filters,
    malformed_at_the_end,
    many_filters,
    match_levels,
    mixes,
    multi_level_wildcards,
    other_properties,
    publish_levels,
    publish_properties,
    retained,
    retained_levels,
    share_groups,
    share_members,
    subscribe_levels,
    take_over_shares,
    unsubscribe_waiting_shares,
    wildcards,
    will_levels,
)
from linear_scene import Case, slashes
from linear_sessions import (
    before_the_login,
    byte_by_byte,
    confirm,
    connect_byte_by_byte,
    full_transport,
    in_one_read,
    offline,
    one_at_a_time,
    shut_down,
    unread_answers,
    wills,
)

from mqttwist.wire.acknowledge import PubRel
from mqttwist.wire.control import PingReq
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions

LEVELS, NAMES, HALF = 65_535, 32_767, 16_384
READS, BYTES = 1 << 18, 1 << 20

CASES: dict[str, tuple[Case, int]] = {
    "PUBLISH of 3.1.1: slashes": (publish_levels(4, 0), LEVELS),
    "PUBLISH with QoS 1: slashes": (publish_levels(5, 1), LEVELS),
    "PUBLISH with RETAIN: slashes": (publish_levels(5, 0, True), LEVELS),
    "SUBSCRIBE: slashes": (subscribe_levels(slashes), LEVELS),
    "UNSUBSCRIBE: slashes": (subscribe_levels(slashes, True), LEVELS),
    "SUBSCRIBE: +/+/...": (subscribe_levels(wildcards), LEVELS),
    "UNSUBSCRIBE: +/+/...": (subscribe_levels(wildcards, True), LEVELS),
    "PUBLISH: levels that +/+/... matches": (match_levels(wildcards), LEVELS),
    "PUBLISH: levels that # matches": (match_levels(lambda size: "#"), LEVELS),
    "retained: levels that +/+/... matches": (retained_levels(wildcards), LEVELS),
    "retained: levels that # matches": (retained_levels(lambda size: "#"), LEVELS),
    "will: slashes": (will_levels, LEVELS),
    "PUBLISH: filters of every mix of a and +": (mixes, 16_384),
    "PUBLISH: #, a/#, a/a/#, ...": (multi_level_wildcards, 1024),
    "PUBLISH: Subscription Identifiers": (identifiers, 1024),
    "PUBLISH: subscribers": (fan_out, HALF),
    "PUBLISH: share groups": (share_groups, HALF),
    "PUBLISH: members that are away": (share_members, HALF),
    "PUBLISH to 3.1.1: User Properties": (publish_properties(4, 0), NAMES),
    "PUBLISH to 5.0: User Properties": (publish_properties(5, 0), NAMES),
    "PUBLISH with QoS 2: User Properties": (publish_properties(5, 2), NAMES),
    "CONNECT and will: User Properties": (connect_properties, HALF),
    "PUBACK: User Properties": (acknowledge_properties(1), NAMES),
    "PUBREC, PUBCOMP: User Properties": (acknowledge_properties(2), NAMES),
    "PUBREL ... DISCONNECT: User Properties": (other_properties, NAMES),
    "CONNECT: long everything": (connect_long, LEVELS),
    "PUBLISH: malformed at the end": (malformed_at_the_end, NAMES),
    "SUBSCRIBE: filters": (many_filters("a/{}"), NAMES),
    "SUBSCRIBE: filters with +": (many_filters("+/{}/+"), NAMES),
    "SUBSCRIBE: filters with #": (many_filters("a/{}/#"), NAMES),
    "SUBSCRIBE: shared filters": (many_filters("$share/{}/a"), NAMES),
    "SUBSCRIBE: the same filters again": (many_filters("a/{}", again=True), NAMES),
    "SUBSCRIBE: one filter again and again": (many_filters("b/+"), NAMES),
    "UNSUBSCRIBE: filters": (many_filters("a/{}", leave=True), NAMES),
    "UNSUBSCRIBE: filters with +": (many_filters("+/{}/+", leave=True), NAMES),
    "UNSUBSCRIBE: shared filters": (many_filters("$share/{}/a", leave=True), NAMES),
    "UNSUBSCRIBE: shared filters, with a queue": (unsubscribe_waiting_shares, 2048),
    "SUBSCRIBE: shared filters, with a queue": (take_over_shares, 2048),
    "DISCONNECT: subscriptions": (leave_with_filters, NAMES),
    "SUBSCRIBE to #: retained": (retained("#", "{}"), NAMES),
    "SUBSCRIBE to +/x/+: retained": (retained("+/x/+", "{}/x/y"), NAMES),
    "SUBSCRIBE to x/#: retained": (retained("x/#", "x/y/{}"), NAMES),
    "PUBLISH: bytes, one by one": (byte_by_byte(lambda size: Publish("a", bytes(size))), BYTES),
    "SUBSCRIBE: bytes, one by one": (
        byte_by_byte(lambda size: Subscribe(1, [SubscriptionOptions("abc")] * (size // 6))),
        BYTES,
    ),
    "CONNECT: bytes, one by one": (connect_byte_by_byte, LEVELS),
    "QoS 0: in one read": (in_one_read(Publish("a", b"x")), NAMES),
    "QoS 2: in one read": (in_one_read(Publish("a", b"x", 2, False, None, 1), PubRel(1)), NAMES),
    "PINGREQ: in one read": (in_one_read(PingReq()), READS),
    "reads before the login is through": (before_the_login, READS),
    "answers that are not read": (unread_answers, READS),
    "full transport, QoS 0": (full_transport(0), NAMES),
    "full transport, QoS 1": (full_transport(1), NAMES),
    "offline": (offline, NAMES),
    "PUBACK: in flight": (confirm(1, False, False), NAMES),
    "PUBACK: in flight, the last first": (confirm(1, True, False), NAMES),
    "PUBREC, PUBCOMP: in flight": (confirm(2, False, False), NAMES),
    "sent again, QoS 1": (confirm(1, False, True), NAMES),
    "sent again, QoS 2, the last first": (confirm(2, True, True), NAMES),
    "PUBACK: waiting": (one_at_a_time, NAMES),
    "wills and ends of sessions": (wills, HALF),
    "shut down: connections": (shut_down, HALF),
}
"""Each case, and the largest size that it is measured at."""
