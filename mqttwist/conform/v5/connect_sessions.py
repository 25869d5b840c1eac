"""3.1 CONNECT: Clean Start, the session that a client finds again, and the client that takes over."""

from __future__ import annotations

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.acknowledge import PubComp, PubRec, PubRel
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5
from mqttwist.wire.publish import Publish


def leave_everything(rig: Rig) -> Client:
    """A client that is away, and whose session has a subscription, messages on their way and one that waits.

    "topic" is what it subscribes to; it has not acknowledged b"one" (QoS 1) and not completed b"two" (QoS 2),
    b"three" came while it was away, and it has not released a message to "mine" with Packet Identifier 9.
    """
    client, publisher = rig.connect(persistent=True), rig.connect()
    client.subscribe(rig.topic(), qos=2)
    publisher.publish(rig.topic(), b"one", qos=1)
    client.expect(Publish)
    publisher.publish(rig.topic(), b"two", qos=2)
    client.send(PubRec(client.expect(Publish).packet_id))
    client.expect(PubRel)
    client.send(Publish(rig.topic("mine"), b"mine", qos=2, packet_id=9))
    client.expect(PubRec)
    client.drop()
    publisher.publish(rig.topic(), b"three", qos=1)
    return client


def everything_goes_on(rig: Rig, client: Client, watcher: Client) -> None:
    """`client` has the session that `leave_everything` has left; `watcher` subscribes to "mine"."""
    client.send(PubComp(client.expect(PubRel).packet_id))
    again = client.message()
    require_equal((again.payload, again.dup), (b"one", True), "what was not acknowledged, and DUP")
    waiting = client.message()
    require_equal((waiting.payload, waiting.dup), (b"three", False), "what waited, and DUP")
    client.expect_nothing()
    rig.connect().publish(rig.topic(), b"four", qos=1)
    require_equal(client.message().payload, b"four", "a message of the subscription that was kept")
    client.send(Publish(rig.topic("mine"), b"mine", qos=2, packet_id=9, dup=True))
    client.expect(PubRec)
    client.send(PubRel(9))
    client.expect(PubComp)
    require_equal(watcher.message().payload, b"mine", "the payload")
    watcher.expect_nothing()  # sent on once, at whichever of its steps


def has_nothing_left(rig: Rig, client: Client) -> None:
    """The session of `client` is a new one: nothing is sent again, nothing is subscribed to."""
    client.expect_nothing()
    publisher = rig.connect()
    publisher.publish(rig.topic(), b"four", qos=1)
    client.expect_nothing()
    watcher = rig.connect()
    watcher.subscribe(rig.topic("mine"), qos=2)
    client.send(Publish(rig.topic("mine"), b"new", qos=2, packet_id=9))
    client.expect(PubRec)
    client.send(PubRel(9))
    client.expect(PubComp)
    require_equal(watcher.message().payload, b"new", "a new message with a Packet Identifier used before")


def anew(rig: Rig, client_id: str) -> Client:
    """A client with Clean Start 1, and in 5.0 with a session that is kept then."""
    client = rig.connect(client_id, persistent=rig.version == MQTT_5)
    require(not client.connack.session_present, "Session Present is 1, though the client starts anew")
    return client


@statement("MQTT-3.1.2-4", "MQTT-3.1.4-4", "MQTT-3.2.2-2")
def clean_start_discards_the_session(rig: Rig) -> None:
    """With Clean Start 1 (Clean Session 1) nothing is left of a session, and Session Present is 0."""
    away = leave_everything(rig)
    has_nothing_left(rig, anew(rig, away.client_id))


@statement("MQTT-3.1.2-4", "MQTT-3.1.4-4", "MQTT-3.2.2-2")
def clean_start_discards_the_session_of_a_connected_client(rig: Rig) -> None:
    """With Clean Start 1 (Clean Session 1) nothing is left of the session of a client that is there."""
    before, publisher = rig.connect(persistent=True), rig.connect()
    before.subscribe(rig.topic(), qos=1)
    publisher.publish(rig.topic(), b"one", qos=1)
    before.expect(Publish)
    client = anew(rig, before.client_id)
    before.expect_closed(0x8E)
    has_nothing_left(rig, client)


@statement("MQTT-3.1.2-5", "MQTT-3.1.2-23", "MQTT-3.1.4-4", "MQTT-3.2.2-3")
def a_session_is_resumed(rig: Rig) -> None:
    """With Clean Start 0 (Clean Session 0) a session goes on: its subscriptions and all its messages."""
    watcher = rig.connect()
    watcher.subscribe(rig.topic("mine"), qos=2)
    away = leave_everything(rig)
    client = rig.connect(away.client_id, clean_start=False, persistent=True)
    require(client.connack.session_present, "Session Present is 0 although there is a session")
    everything_goes_on(rig, client, watcher)


@statement("MQTT-3.1.2-5", "MQTT-3.1.4-4", "MQTT-3.2.2-3")
def the_session_of_a_connected_client_is_resumed(rig: Rig) -> None:
    """With Clean Start 0 (Clean Session 0) a client that takes over goes on with the session."""
    before, publisher = rig.connect(persistent=True), rig.connect()
    before.subscribe(rig.topic(), qos=1)
    publisher.publish(rig.topic(), b"one", qos=1)
    before.expect(Publish)
    client = rig.connect(before.client_id, clean_start=False, persistent=True)
    before.expect_closed(0x8E)
    require(client.connack.session_present, "Session Present is 0 although there is a session")
    again = client.message()
    require_equal((again.payload, again.dup), (b"one", True), "what was not acknowledged, and DUP")
    client.expect_nothing()


@statement("MQTT-3.1.2-6", "MQTT-3.1.4-4", "MQTT-3.2.2-3")
def without_a_session_a_new_one_is_created(rig: Rig) -> None:
    """With Clean Start 0 (Clean Session 0) and no session there is a new one, kept even when empty."""
    for topic_filter in ("", rig.topic()):
        client = rig.connect(clean_start=False, persistent=True)
        require(not client.connack.session_present, "Session Present is 1 although there was no session")
        if topic_filter:
            client.subscribe(topic_filter, qos=1)
        client.disconnect()
        rig.connect().publish(rig.topic(), b"kept", qos=1)
        again = rig.connect(client.client_id, clean_start=False, persistent=True)
        require(again.connack.session_present, "the new session was not kept")
        if topic_filter:
            require_equal(again.message().payload, b"kept", "the payload")
        again.expect_nothing()


@statement("MQTT-3.1.2-23")
def session_state_is_stored_when_the_connection_closes(rig: Rig) -> None:
    """With a Session Expiry Interval above 0 the session outlives DISCONNECT, failure and a fault."""
    for interval in (60, 0xFFFFFFFF):
        for how in ("DISCONNECT", "failure", "fault"):
            client = rig.connect(session_expiry_interval=interval)
            client.subscribe(rig.topic(), qos=1)
            if how == "DISCONNECT":
                client.disconnect()
            elif how == "failure":
                client.drop()
            else:
                client.send(b"\0\0")
                client.expect_closed()
            rig.connect().publish(rig.topic(), b"kept", qos=1)
            with about(f"interval {interval}, {how}"):
                again = rig.connect(client.client_id, clean_start=False)
                require(again.connack.session_present, "the session is gone")
                require_equal(again.message().payload, b"kept", "the message that came meanwhile")


@statement("MQTT-3.1.2-23", slow=True)
def session_state_is_stored_for_the_session_expiry_interval(rig: Rig) -> None:
    """The session is there before its Session Expiry Interval is over, and afterwards it is not."""
    brief, long = rig.connect(session_expiry_interval=1), rig.connect(session_expiry_interval=60)
    for client in (brief, long):
        client.subscribe(rig.topic(), qos=1)
        client.drop()
    rig.wait(4)
    again = rig.connect(long.client_id, clean_start=False)
    require(again.connack.session_present, "the session is gone before its time")
    again = rig.connect(brief.client_id, clean_start=False)
    require(not again.connack.session_present, "the session is there after its time")


@statement("MQTT-3.1.2-23", slow=True)
def a_session_does_not_expire_while_its_client_is_there(rig: Rig) -> None:
    """A session that is resumed in time outlives the interval of its connection before."""
    client = rig.connect(session_expiry_interval=2)
    client.subscribe(rig.topic(), qos=1)
    client.drop()
    client = rig.connect(client.client_id, clean_start=False, session_expiry_interval=60)
    require(client.connack.session_present, "the session is gone before its time")
    rig.wait(5)
    rig.connect().publish(rig.topic(), b"payload", qos=1)
    require_equal(client.message().payload, b"payload", "the payload")
    client.drop()
    again = rig.connect(client.client_id, clean_start=False)
    require(again.connack.session_present, "the session is gone")


@statement("MQTT-3.1.3-2")
def the_client_identifier_identifies_the_session(rig: Rig) -> None:
    """A session belongs to one Client Identifier, to the letter; others do not get it."""
    base = f"{rig.client_id()}a"
    client = rig.connect(base, persistent=True)
    client.subscribe(rig.topic(), qos=1)
    client.disconnect()
    for other in (base.upper(), base[:-1], f"{base}a", f"{base} "):
        another = rig.connect(other, clean_start=False)
        require(not another.connack.session_present, f"{other!r} got the session of {base!r}")
    require(rig.connect(base, clean_start=False).connack.session_present, "the session is gone")


@statement("MQTT-3.1.4-3")
def a_client_that_connects_again_takes_over(rig: Rig) -> None:
    """The connection before of the same Client Identifier is closed, best after DISCONNECT 0x8E."""
    for persistent in (True, False):
        for clean_start in (True, False):
            before = rig.connect(persistent=persistent)
            now = rig.connect(before.client_id, clean_start=clean_start, persistent=persistent)
            with about(f"persistent {persistent}, Clean Start {clean_start}"):
                before.expect_closed(0x8E)
                now.expect_nothing()


@statement("MQTT-3.1.4-3")
def a_client_of_another_version_takes_over(rig: Rig) -> None:
    """A client of 3.1.1 takes over from one of 5.0, and the other way round."""
    for first, second in ((MQTT_5, MQTT_3_1_1), (MQTT_3_1_1, MQTT_5)):
        before = rig.connect(version=first)
        now = rig.connect(before.client_id, version=second)
        before.expect_closed()
        now.expect_nothing()
