"""4.5 Message receipt."""

from __future__ import annotations

from typing import Final

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import about, require_equal
from mqttwist.wire.acknowledge import PubRec, PubRel
from mqttwist.wire.connect import Will
from mqttwist.wire.publish import Publish

MATCHING: Final = ("a/b", "a/+", "+/b", "a/#", "#", "+/+", "a/b/#")
OTHERS: Final = ("a", "a/b/c", "A/b", "+", "a/b/", "a/+/+", "b/#")


def subscribers(rig: Rig, labels: tuple[str, ...]) -> dict[str, Client]:
    """A client with a session for each Topic Filter."""
    clients = {label: rig.connect(persistent=True) for label in labels}
    for label, client in clients.items():
        client.subscribe(rig.topic(label), qos=2)
    return clients


def come_back(rig: Rig, clients: dict[str, Client]) -> dict[str, Client]:
    return {
        label: rig.connect(client.client_id, clean_start=False, persistent=True)
        for label, client in clients.items()
    }


def each_receives(clients: dict[str, Client], payloads: list[bytes]) -> None:
    """Each of `clients` is sent `payloads`, and nothing else."""
    for label, client in clients.items():
        with about(f"Topic Filter {label}"):
            require_equal([client.message().payload for _ in payloads], payloads, "the payloads")
            client.expect_nothing()


@statement("MQTT-4.5.0-1")
def a_message_goes_to_all_that_match(rig: Rig) -> None:
    """A message is delivered to every client whose Topic Filter matches, and to no other."""
    publisher = rig.connect()
    matching, others = subscribers(rig, MATCHING), subscribers(rig, OTHERS)
    for qos in (0, 1, 2):
        publisher.publish(rig.topic("a/b"), str(qos).encode(), qos)
        rig.settle(publisher)
        each_receives(matching, [str(qos).encode()])
        each_receives(others, [])


@statement("MQTT-4.5.0-1")
def a_message_is_kept_for_all_that_match_and_are_away(rig: Rig) -> None:
    """A message with QoS 1 or 2 waits for every client that is away and whose Topic Filter matches."""
    publisher = rig.connect()
    matching, others = subscribers(rig, MATCHING), subscribers(rig, OTHERS)
    for number, client in enumerate([*matching.values(), *others.values()]):
        if number % 2:
            client.disconnect()
        else:
            client.drop()
    for qos in (1, 2):
        publisher.publish(rig.topic("a/b"), str(qos).encode(), qos)
    each_receives(come_back(rig, matching), [b"1", b"2"])
    each_receives(come_back(rig, others), [])


@statement("MQTT-4.5.0-1")
def a_message_that_was_acknowledged_is_with_the_session(rig: Rig) -> None:
    """Once the publisher has its acknowledgement the message arrives, though both clients drop at once."""
    for qos in (1, 2):
        publisher, subscriber = rig.connect(), rig.connect(persistent=True)
        subscriber.subscribe(rig.topic(), qos=2)
        publisher.publish(rig.topic(), b"payload", qos)
        subscriber.drop()
        publisher.drop()
        client = rig.connect(subscriber.client_id, clean_start=False)
        require_equal(client.message().payload, b"payload", "the payload")
        client.expect_nothing()
        client.disconnect()


@statement("MQTT-4.5.0-1")
def a_message_that_was_released_is_with_the_session(rig: Rig) -> None:
    """A QoS 2 message arrives, though its publisher is gone before PUBCOMP, once PUBREL was sent."""
    publisher, subscriber = rig.connect(persistent=True), rig.connect(persistent=True)
    subscriber.subscribe(rig.topic(), qos=2)
    subscriber.drop()
    publisher.send(Publish(rig.topic(), b"payload", 2, packet_id=1))
    publisher.expect(PubRec)
    publisher.send(PubRel(1))
    publisher.drop()
    each_receives(come_back(rig, {"": subscriber}), [b"payload"])


@statement("MQTT-4.5.0-1")
def a_will_is_kept_for_who_is_away(rig: Rig) -> None:
    """The message of a Will waits for a client that is away, as any other does."""
    for qos in (1, 2):
        subscriber = rig.connect(persistent=True)
        subscriber.subscribe(rig.topic(), qos=2)
        subscriber.drop()
        rig.connect(will=Will(rig.topic(), b"bye", qos)).drop()
        each_receives(come_back(rig, {"": subscriber}), [b"bye"])
