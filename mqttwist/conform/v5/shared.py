"""4.8 Subscriptions: shared ones."""

from __future__ import annotations

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.v5.topics import is_refused
from mqttwist.conform.verdict import CheckFailed, about, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.publish import Publish


def members(rig: Rig, *qualities: int) -> list[Client]:
    """Clients with sessions that share a subscription to "a/+", each with its QoS."""
    clients = [rig.connect(persistent=True) for _ in qualities]
    for client, qos in zip(clients, qualities, strict=True):
        client.subscribe(f"$share/group/{rig.topic('a/+')}", qos=qos)
    return clients


def who_has_it(rig: Rig, clients: list[Client]) -> tuple[int, Publish]:
    """Which one of `clients` was sent a message, not acknowledged yet, and the message."""
    found: list[tuple[int, Publish]] = []
    for number, client in enumerate(clients):
        rig.settle(client)
        while client.has_message():
            found.append((number, client.expect(Publish)))
    if len(found) != 1:
        raise CheckFailed(f"expected one copy, {len(found)} came")
    return found[0]


def begun(rig: Rig, clients: list[Client], has_answered: bool) -> tuple[Client, Publish]:
    """Which one of `clients` was sent a message of QoS 2, and the message; it is no more among them.

    If it `has_answered`, with PUBREC, the PUBREL has come.
    """
    chosen, publish = who_has_it(rig, clients)
    client = clients.pop(chosen)
    if has_answered:
        client.send(PubRec(publish.packet_id))
        client.expect(PubRel)
    return client, publish


@statement("MQTT-4.8.2-1")
def a_shared_subscription_has_a_share_name(rig: Rig) -> None:
    """A Topic Filter of $share/ with an empty ShareName, or with nothing else, is refused."""
    for rest in ("", "/", f"/{rig.topic('a')}", "//", "/#", f"//{rig.topic('a')}"):
        is_refused(rig, f"$share/{rest}".encode())


@statement("MQTT-4.8.2-1")
def a_share_name_may_have_one_character(rig: Rig) -> None:
    """A ShareName of one character or of many is taken, and with another prefix nothing is shared."""
    publisher = rig.connect()
    for share_name in ("g", "group", "$", " ", "é", "x" * 1000):
        clients = [rig.connect() for _ in range(2)]
        for client in clients:
            client.subscribe(f"$share/{share_name}/{rig.topic('a')}", qos=1)
        publisher.publish(rig.topic("a"), b"payload", 1)
        with about(f"ShareName {share_name[:10]!r}"):
            who_has_it(rig, clients)
        for client in clients:
            client.disconnect()
    for prefix in ("$SHARE/group/", "$shared/group/", "share/group/"):
        client = rig.connect()
        client.subscribe(prefix + rig.topic("a"), qos=1)
        client.subscribe(rig.topic("plain"), qos=1)
        publisher.publish(rig.topic("a"), b"payload", 1)
        with about(f"prefix {prefix}"):
            rig.reaches(client, "plain")


@statement("MQTT-4.8.2-2")
def a_share_name_has_no_wildcard(rig: Rig) -> None:
    """A ShareName with + or #, wherever, is refused."""
    for share_name in ("+", "#", "a+", "+a", "a#", "#a", "a+b", "a#b"):
        is_refused(rig, f"$share/{share_name}/{rig.topic('a')}".encode())


@statement("MQTT-4.8.2-2")
def a_topic_filter_follows_the_share_name(rig: Rig) -> None:
    """A ShareName without a slash, or without a right Topic Filter after it, is refused."""
    for rest in ("group", "group/", "group/a#", "group/#/a", "group/a+", "group/+a/b"):
        is_refused(rig, f"$share/{rest}".encode())


@statement("MQTT-4.8.2-2")
def what_follows_the_share_name_is_the_topic_filter(rig: Rig) -> None:
    """What follows the slash after the ShareName matches as it does alone: with wildcards, and slashes."""
    publisher = rig.connect()
    names = ("a", "/a", "a/b", "a/b/c", "group/a", "b")
    for label, expected in (
        ("a", ("a",)),
        ("/a", ("/a",)),
        ("a/+", ("a/b",)),
        ("a/#", ("a", "a/b", "a/b/c")),
        ("+/+", ("/a", "a/b", "group/a")),
        ("#", names),
    ):
        client = rig.connect()
        client.subscribe(f"$share/group/{rig.topic(label)}", qos=1)
        for name in names:
            publisher.publish(rig.topic(name), name.encode(), 1)
        came = [one.topic_name for one in came_to(rig, client)]
        require_equal(came, [rig.topic(name) for name in expected], f"what {label!r} matches")
        client.disconnect()


@statement("MQTT-4.8.2-3")
def the_granted_qos_of_the_member_counts(rig: Rig) -> None:
    """A message comes with the QoS granted to the member that it goes to, or its own if it is less."""
    publisher, clients = rig.connect(), members(rig, 0, 1, 2)
    for published in (0, 1, 2):
        for _ in range(6):
            publisher.publish(rig.topic("a/b"), b"payload", published)
            rig.settle(publisher)
            granted, publish = who_has_it(rig, clients)
            clients[granted].confirm(publish)
            require_equal(publish.qos, min(granted, published), f"the QoS, granted {granted}")


@statement("MQTT-4.8.2-3")
def the_granted_qos_of_the_only_member_counts(rig: Rig) -> None:
    """A message comes with the QoS granted last to the only member, and to each of its subscriptions."""
    publisher, client = rig.connect(), rig.connect()
    for granted in (0, 2, 1, 2, 0, 1):
        client.subscribe(f"$share/group/{rig.topic('a')}", qos=granted)
        for published in (0, 1, 2):
            publisher.publish(rig.topic("a"), b"payload", published)
            rig.settle(publisher)
            came = [one.qos for one in came_to(rig, client)]
            require_equal(came, [min(granted, published)], f"the QoS, granted {granted}")


@statement("MQTT-4.8.2-4")
def a_message_with_qos_2_is_completed_by_its_member(rig: Rig) -> None:
    """A QoS 2 message goes on with the member that has begun it when it comes back, at either step."""
    for has_answered in (False, True):
        publisher, clients = rig.connect(), members(rig, 2, 2, 2)
        publisher.publish(rig.topic("a/b"), b"payload", 2)
        client, first = begun(rig, clients, has_answered)
        client.drop()
        for other in clients:
            other.expect_nothing()
        client = rig.connect(client.client_id, clean_start=False, persistent=True)
        if has_answered:
            require_equal(client.expect_next(PubRel).packet_id, first.packet_id, "the one of PUBREL")
            client.send(PubComp(first.packet_id))
        else:
            again = client.expect_next(Publish)
            said = (again.packet_id, again.payload, again.dup)
            require_equal(said, (first.packet_id, b"payload", True), "Packet Identifier, payload and DUP")
            client.confirm(again)
        for one in (*clients, client):
            one.expect_nothing()
            one.disconnect(session_expiry_interval=0)


@statement("MQTT-4.8.2-5")
def a_message_with_qos_2_is_not_sent_to_another_member(rig: Rig) -> None:
    """A QoS 2 message that was begun is not sent to other members when the session of its own ends."""
    for has_answered in (False, True):
        for how in ("Clean Start", "DISCONNECT", "no interval"):
            publisher, clients = rig.connect(), members(rig, 2, 2, 2)
            publisher.publish(rig.topic("a/b"), b"payload", 2)
            client, _ = begun(rig, clients, has_answered)
            if how == "DISCONNECT":
                client.disconnect(session_expiry_interval=0)
            else:
                client.drop()
                rig.connect(client.client_id, clean_start=how == "Clean Start").drop()
            with about(f"PUBREC was sent: {has_answered}, {how}"):
                for other in clients:
                    other.expect_nothing()
                    publisher.publish(rig.topic("a/b"), b"next", 2)
                chosen_next = [one.payload for other in clients for one in came_to(rig, other)]
                require_equal(chosen_next, [b"next"] * 2, "the payloads of what was published then")
            for other in clients:
                other.disconnect(session_expiry_interval=0)


@statement("MQTT-4.8.2-5", slow=True)
def a_message_with_qos_2_is_not_sent_to_another_member_later(rig: Rig) -> None:
    """A QoS 2 message that was begun is not sent to other members when the session of its own expires."""
    publisher, clients = rig.connect(), members(rig, 2, 2)
    publisher.publish(rig.topic("a/b"), b"payload", 2)
    client, first = begun(rig, clients, has_answered=False)
    client.disconnect(session_expiry_interval=1)
    rig.wait(3)
    clients[0].expect_nothing()
    rig.reaches(clients[0], "a/c")
    require_equal(first.qos, 2, "the QoS")
    again = rig.connect(client.client_id, clean_start=False)
    again.expect_nothing()


@statement("MQTT-4.8.2-6")
def a_message_that_a_member_refuses_is_discarded(rig: Rig) -> None:
    """PUBACK or PUBREC with 0x80 and above ends the message: no other member is sent it, then or later."""
    publisher, clients = rig.connect(), members(rig, 2, 2, 2)
    for qos in (1, 2):
        for reason_code in (0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99):
            publisher.publish(rig.topic("a/b"), b"payload", qos)
            chosen, publish = who_has_it(rig, clients)
            answer = PubAck if qos == 1 else PubRec
            clients[chosen].send(answer(publish.packet_id, reason_code))
            rig.settle(clients[chosen])
            with about(f"QoS {qos}, Reason Code 0x{reason_code:02X}"):
                for client in clients:
                    client.expect_nothing()
                clients[chosen].drop()
                client_id = clients[chosen].client_id
                clients[chosen] = rig.connect(client_id, clean_start=False, persistent=True)
                for client in clients:
                    client.expect_nothing()
    clients[0].disconnect(session_expiry_interval=0)
    clients[1].expect_nothing()
    clients[2].expect_nothing()
