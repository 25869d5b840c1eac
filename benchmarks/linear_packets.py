"""Cases of `linear.py`: packets that are large themselves, or that concern much in the broker."""

from __future__ import annotations

from collections.abc import Callable

from linear_scene import Case, Peer, Scene, Work, slashes, user_properties

from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import Connect, Will
from mqttwist.wire.control import Disconnect
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions, Unsubscribe

# Topic levels


def publish_levels(version: int, qos: int, retain: bool = False) -> Case:
    def prepare(size: int) -> Work:
        return Scene().peer("p", version).later(Publish(slashes(size), b"x", qos, retain, None, qos))

    return prepare


def subscribe_levels(topic_filter: Callable[[int], str], leave: bool = False) -> Case:
    """SUBSCRIBE to one filter, or UNSUBSCRIBE from it."""

    def prepare(size: int) -> Work:
        peer = Scene().peer("s")
        wanted = topic_filter(size)
        if not leave:
            return peer.later(Subscribe(1, [SubscriptionOptions(wanted)]))
        peer.subscribe(wanted)
        return peer.later(Unsubscribe(2, [wanted]))

    return prepare


def wildcards(size: int) -> str:
    return "/".join("+" * (size // 2))


def match_levels(topic_filter: Callable[[int], str]) -> Case:
    """A PUBLISH to a name of many levels, all of which a filter matches."""

    def prepare(size: int) -> Work:
        scene = Scene()
        scene.peer("s").subscribe(topic_filter(size))
        return scene.peer("p").later(Publish("/".join("a" * (size // 2)), b"x"))

    return prepare


def retained_levels(topic_filter: Callable[[int], str]) -> Case:
    def prepare(size: int) -> Work:
        scene = Scene()
        scene.peer("p").send(Publish("/".join("a" * (size // 2)), b"x", 0, True))
        return scene.peer("s").later(Subscribe(1, [SubscriptionOptions(topic_filter(size))]))

    return prepare


def will_levels(size: int) -> Work:
    """CONNECT with such a will, the loss of the connection, and the will to a subscriber."""
    scene = Scene()
    scene.peer("s").subscribe("#")
    data = Connect("w", 5, will=Will(slashes(size), b"x", 1, True)).encode()
    peer = Peer(scene.broker)

    def work() -> None:
        peer.read(data)
        peer.lose()

    return work


# Wildcards that match in many ways


def mixes(size: int) -> Work:
    """A PUBLISH to a/a/.../a, with a filter for every mix of `a` and `+`: as many as `size`."""
    scene = Scene()
    depth = size.bit_length() - 1
    subscriber = scene.peer("s")
    for bits in range(1 << depth):
        parts = ["+" if bits >> position & 1 else "a" for position in range(depth)]
        subscriber.subscribe("/".join(parts), identifier=bits + 1)
    return scene.peer("p").later(Publish("/".join("a" * depth), b"x"))


def multi_level_wildcards(size: int) -> Work:
    """A PUBLISH to a/a/.../a, with the filters #, a/#, a/a/# and so on, each of another subscriber's."""
    scene = Scene()
    subscribers = [scene.peer(f"s{number}") for number in range(size)]
    for depth, subscriber in enumerate(subscribers):
        subscriber.subscribe("a/" * depth + "#")
    return scene.peer("p").later(Publish("/".join("a" * size), b"x"))


def identifiers(size: int) -> Work:
    """One copy with as many Subscription Identifiers."""
    scene = Scene()
    subscriber = scene.peer("s")
    for depth in range(size):
        subscriber.subscribe("+/" * depth + "#", identifier=depth + 1)
    return scene.peer("p").later(Publish("/".join("a" * size), b"x"))


def fan_out(size: int) -> Work:
    scene = Scene()
    for number in range(size):
        scene.peer(f"s{number}").subscribe("a")
    return scene.peer("p").later(Publish("a", b"x"))


def share_groups(size: int) -> Work:
    """A PUBLISH for as many Shared Subscriptions, all of the same two members."""
    scene = Scene()
    for name in ("one", "two"):
        scene.peer(name).subscribe(*[f"$share/{number}/a" for number in range(size)])
    return scene.peer("p").later(Publish("a", b"x"))


def share_members(size: int) -> Work:
    """A PUBLISH for one Shared Subscription whose members are all away."""
    scene = Scene()
    for number in range(size):
        peer = scene.peer(f"s{number}")
        peer.subscribe("$share/g/a")
        peer.lose()
    return scene.peer("p").later(Publish("a", b"x", 1, False, None, 1))


# Properties


def publish_properties(version: int, qos: int) -> Case:
    """A PUBLISH through the broker, to a subscriber of that version."""

    def prepare(size: int) -> Work:
        scene = Scene()
        scene.peer("s", version).subscribe("a", qos=qos)
        return scene.peer("p").later(Publish("a", b"x", qos, False, user_properties(size), qos))

    return prepare


def connect_properties(size: int) -> Work:
    """CONNECT with as many User Properties, and with as many for the will, which goes out."""
    scene = Scene()
    scene.peer("s").subscribe("#")
    connect = Connect("p", 5, will=Will("w", properties=user_properties(size)))
    connect.properties = user_properties(size)
    peer, data = Peer(scene.broker), connect.encode()

    def work() -> None:
        peer.read(data)
        peer.lose()

    return work


def acknowledge_properties(qos: int) -> Case:
    """PUBACK, or PUBREC and PUBCOMP, with as many User Properties."""

    def prepare(size: int) -> Work:
        scene = Scene()
        subscriber = scene.peer("s")
        subscriber.subscribe("a", qos=qos)
        scene.peer("p").send(Publish("a", b"x", qos, False, None, 1))
        if qos == 1:
            return subscriber.later(PubAck(1, 0, user_properties(size)))
        return subscriber.later(PubRec(1, 0, user_properties(size)), PubComp(1, 0, user_properties(size)))

    return prepare


def other_properties(size: int) -> Work:
    """PUBREL, SUBSCRIBE, UNSUBSCRIBE and DISCONNECT, each with as many User Properties."""
    peer = Scene().peer("p")
    peer.send(Publish("a", b"x", 2, False, None, 1))
    peer.may_be_closed = True
    return peer.later(
        PubRel(1, 0, user_properties(size)),
        Subscribe(2, [SubscriptionOptions("a")], user_properties(size)),
        Unsubscribe(3, ["a"], user_properties(size)),
        Disconnect(0, user_properties(size)),
    )


def connect_long(size: int) -> Work:
    """CONNECT with the longest Client Identifier, User Name, Password, Will Topic and Will Payload."""
    text = slashes(size)
    will = Will(text, text.encode(), 2, True)
    return Peer(Scene().broker).later(Connect(text, 5, True, 0, will, text, text.encode()))


def malformed_at_the_end(size: int) -> Work:
    """A PUBLISH of which the last of all User Properties is no UTF-8."""
    peer = Scene().peer("p")
    peer.may_be_closed = True
    data = bytearray(Publish("a", b"", 0, False, user_properties(size)).encode(5))
    data[-1] = 0xFF
    return lambda: peer.read(bytes(data))


# Many filters


def many_filters(form: str, leave: bool = False, again: bool = False) -> Case:
    """SUBSCRIBE to as many filters, or UNSUBSCRIBE from them; `again`: they were subscribed to before."""

    def prepare(size: int) -> Work:
        scene = Scene()
        scene.peer("other").send(*[Publish(f"a/{number}", b"x", 0, True) for number in range(100)])
        peer = scene.peer("s")
        filters = [form.format(number) for number in range(size)]
        if leave or again:
            peer.subscribe(*filters)
        if leave:
            return peer.later(Unsubscribe(2, filters))
        return peer.later(Subscribe(3, [SubscriptionOptions(one, 1) for one in filters]))

    return prepare


def unsubscribe_waiting_shares(size: int) -> Work:
    """UNSUBSCRIBE from as many shared filters, by each of which a message waits."""
    scene = Scene()
    filters = [f"$share/{number}/a" for number in range(size)]
    peer = Peer(scene.broker)
    peer.send(Connect("s", 5, properties=Properties(receive_maximum=1)))
    peer.subscribe(*filters, qos=1)
    scene.peer("p").send(Publish("a", b"x", 1, False, None, 1))
    return peer.later(Unsubscribe(2, filters))


def take_over_shares(size: int) -> Work:
    """SUBSCRIBE to as many shared filters, by each of which a message waits for a member that is away."""
    scene = Scene()
    filters = [f"$share/{number}/a" for number in range(size)]
    keeper = scene.peer("keeper")
    keeper.subscribe(*filters, qos=1)
    keeper.lose()
    scene.peer("p").send(Publish("a", b"x", 1, False, None, 1))
    return scene.peer("s").later(Subscribe(1, [SubscriptionOptions(one, 1) for one in filters]))


def leave_with_filters(size: int) -> Work:
    """A session ends that has as many subscriptions, half of them shared."""
    peer = Scene().peer("s")
    peer.subscribe(*[("$share/g/a/{}" if number % 2 else "a/{}").format(number) for number in range(size)])
    peer.may_be_closed = True
    return peer.later(Disconnect(0, Properties(session_expiry_interval=0)))


def retained(topic_filter: str, form: str) -> Case:
    """SUBSCRIBE to a filter that as many retained messages match."""

    def prepare(size: int) -> Work:
        scene = Scene()
        publisher = scene.peer("p")
        publisher.send(*[Publish(form.format(number), b"x", 1, True, None, 1) for number in range(size)])
        return scene.peer("s").later(Subscribe(1, [SubscriptionOptions(topic_filter, 1)]))

    return prepare
