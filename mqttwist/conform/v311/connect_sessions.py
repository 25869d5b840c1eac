"""3.1 CONNECT: Clean Session, the session that a client finds again, and take-over."""

from __future__ import annotations

from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import connect_sessions
from mqttwist.conform.v5.connect_sessions import has_nothing_left
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.acknowledge import PubRec
from mqttwist.wire.publish import Publish

statement("MQTT-3.1.3-2")(connect_sessions.the_client_identifier_identifies_the_session)
statement("MQTT-3.1.4-2")(connect_sessions.a_client_of_another_version_takes_over)
statement("MQTT-3.1.2-4", "MQTT-3.1.4-3", "MQTT-3.2.2-2", "MQTT-4.1.0-1", "MQTT-4.4.0-1")(
    connect_sessions.a_session_is_resumed
)
statement("MQTT-3.1.2-4", "MQTT-3.1.4-3", "MQTT-3.2.2-2")(
    connect_sessions.the_session_of_a_connected_client_is_resumed
)
statement("MQTT-3.1.2-4", "MQTT-3.1.4-3", "MQTT-3.2.2-3")(
    connect_sessions.without_a_session_a_new_one_is_created
)
statement("MQTT-3.1.2-6", "MQTT-3.1.4-3", "MQTT-3.2.2-1")(connect_sessions.clean_start_discards_the_session)
statement("MQTT-3.1.2-6", "MQTT-3.1.4-3", "MQTT-3.2.2-1")(
    connect_sessions.clean_start_discards_the_session_of_a_connected_client
)

# Clean Session 0 (3.1.2.4)


@statement("MQTT-3.1.2-4", "MQTT-3.1.2-5")
def messages_are_stored_however_the_connection_ends(rig: Rig) -> None:
    """A session with Clean Session 0 outlives DISCONNECT, failure and a fault, and gathers QoS 1 and 2."""
    publisher = rig.connect()
    for how in ("DISCONNECT", "failure", "fault"):
        client = rig.connect(persistent=True)
        client.subscribe(rig.topic("+"), qos=2)
        if how == "DISCONNECT":
            client.disconnect()
        elif how == "failure":
            client.drop()
        else:
            client.send(b"\0\0")
            client.expect_closed()
        for number in range(10):
            publisher.publish(rig.topic(str(number)), str(number).encode(), qos=1 + number % 2)
        rig.settle(publisher)
        with about(how):
            again = rig.connect(client.client_id, persistent=True)
            require(again.connack.session_present, "the session is gone")
            came = [again.message() for _ in range(10)]  # in order within a topic and QoS, that is, in any
            said = sorted([(one.topic_name, one.payload, one.qos) for one in came])
            wanted = [(rig.topic(str(number)), str(number).encode(), 1 + number % 2) for number in range(10)]
            require_equal(said, wanted, "Topic Name, payload and QoS of what came meanwhile")
            again.expect_nothing()
        again.unsubscribe(rig.topic("+"))


@statement("MQTT-3.1.2-5")
def messages_are_stored_for_the_subscriptions_of_the_client(rig: Rig) -> None:
    """What a client has not subscribed to, or not any more, is not stored for it while it is away."""
    client, publisher = rig.connect(persistent=True), rig.connect()
    for label in ("a/+", "b", "c"):
        client.subscribe(rig.topic(label), qos=2)
    client.unsubscribe(rig.topic("b"))
    client.disconnect()
    for label in ("a/x", "b", "c", "d", "a", "c/x"):
        publisher.publish(rig.topic(label), label.encode(), qos=1)
    client = rig.connect(client.client_id, persistent=True)
    require_equal([client.message().payload for _ in range(2)], [b"a/x", b"c"], "what was stored")
    client.expect_nothing()


# Clean Session 1 (3.1.2.4)


@statement("MQTT-3.1.2-6", "MQTT-3.2.2-3")
def a_clean_session_ends_with_its_connection(rig: Rig) -> None:
    """Nothing of a session with Clean Session 1 is found by the next, whatever that one's Clean Session."""
    publisher = rig.connect()
    for persistent in (True, False):
        for how in ("DISCONNECT", "failure", "take-over"):
            before = rig.connect()
            before.subscribe(rig.topic(), qos=2)
            publisher.publish(rig.topic(), b"one", qos=1)
            before.expect(Publish)
            before.send(Publish(rig.topic("mine"), b"mine", qos=2, packet_id=9))
            before.expect(PubRec)
            if how != "take-over":
                before.disconnect() if how == "DISCONNECT" else before.drop()
            with about(f"{how}, then Clean Session {int(not persistent)}"):
                client = rig.connect(before.client_id, persistent=persistent)
                require(not client.connack.session_present, "Session Present is 1")
                has_nothing_left(rig, client)


@statement("MQTT-3.1.2-7")
def retained_messages_outlive_sessions(rig: Rig) -> None:
    """What a client had retained stays when its session ends: with its connection, or by Clean Session 1."""
    for persistent in (True, False):
        client = rig.connect(persistent=persistent)
        client.subscribe(rig.topic(), qos=1)
        client.publish(rig.topic(), b"kept", qos=1, retain=True)
        client.message()
        client.disconnect()
        rig.connect(client.client_id).disconnect()
        late = rig.connect()
        late.subscribe(rig.topic(), qos=1)
        publish = late.message()
        require_equal((publish.payload, publish.retain), (b"kept", True), "the retained message")


# Take-over (3.1.4)


@statement("MQTT-3.1.4-2")
def a_client_that_connects_again_takes_over(rig: Rig) -> None:
    """The connection before of the same Client Identifier is closed without a word, the new one stays."""
    for persistent in (True, False):
        for persistent_again in (True, False):
            before = rig.connect(persistent=persistent)
            now = rig.connect(before.client_id, persistent=persistent_again)
            with about(f"Clean Session {int(not persistent)}, then {int(not persistent_again)}"):
                require(before.expect_closed() is None, "a packet was sent before the close")
                now.expect_nothing()
