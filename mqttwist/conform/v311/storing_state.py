"""4.1 Storing state. What a session is resumed with stands beside the checks of Clean Session."""

from __future__ import annotations

from mqttwist.conform.rig import Rig
from mqttwist.conform.v5.connect_sessions import leave_everything
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.publish import Publish


@statement("MQTT-4.1.0-1")
def a_session_keeps_its_state_over_many_connections(rig: Rig) -> None:
    """Each part of a session is there on every further connection, until it is dealt with."""
    away = leave_everything(rig)
    released = -1
    for number in range(4):
        client = rig.connect(away.client_id, persistent=True)
        require(client.connack.session_present, "the session is gone")
        with about(f"connection {number + 2}"):
            released = client.expect(PubRel).packet_id if released < 0 else released
            came = [client.expect(Publish).payload for _ in range(2)]
            require_equal(came, [b"one", b"three"], "the messages on their way and waiting")
        client.drop()
    client = rig.connect(away.client_id, persistent=True)
    client.send(PubComp(client.expect(PubRel).packet_id))
    for _ in range(2):
        client.message()
    client.drop()
    client = rig.connect(away.client_id, persistent=True)
    client.expect_nothing()
    rig.connect().publish(rig.topic(), b"four", 1)
    require_equal(client.message().payload, b"four", "what the subscription brings")


@statement("MQTT-4.1.0-1")
def what_was_received_with_qos_2_is_stored(rig: Rig) -> None:
    """A QoS 2 message that was not released is known on every further connection: it is sent on once."""
    watcher, client = rig.connect(), rig.connect(persistent=True)
    watcher.subscribe(rig.topic(), qos=2)
    for _ in range(3):
        client.send(Publish(rig.topic(), b"once", 2, packet_id=9))
        client.expect(PubRec)
        client.drop()
        client = rig.connect(client.client_id, persistent=True)
    client.send(PubRel(9))
    client.expect(PubComp)
    require_equal(watcher.message().payload, b"once", "the payload")
    watcher.expect_nothing()


@statement("MQTT-4.1.0-1", send_maximum=5)
def what_waits_behind_others_is_stored(rig: Rig) -> None:
    """Messages that wait until others are acknowledged come on a later connection, in their order."""
    publisher, client = rig.connect(), rig.connect(persistent=True)
    client.subscribe(rig.topic(), qos=1)
    payloads = [str(number).encode() for number in range(60)]  # Mosquitto, for one, sends 20 at a time
    for payload in payloads:
        publisher.publish(rig.topic(), payload, 1)
    rig.settle(publisher)
    for _ in (1, 2):
        client.drop()
        client = rig.connect(client.client_id, persistent=True)
    require_equal([client.message().payload for _ in payloads], payloads, "the payloads")
    client.expect_nothing()


@statement("MQTT-4.1.0-1", slow=True)
def a_session_is_stored_while_its_client_is_away(rig: Rig) -> None:
    """A session with Clean Session 0 is there after some time, with all of its state."""
    away = leave_everything(rig)
    rig.wait(8)
    client = rig.connect(away.client_id, persistent=True)
    require(client.connack.session_present, "the session is gone")
    client.expect(PubRel)
    came = [client.expect(Publish).payload for _ in range(2)]
    require_equal(came, [b"one", b"three"], "the messages on their way and waiting")


@statement("MQTT-4.1.0-2")
def a_clean_session_lasts_as_long_as_its_connection(rig: Rig) -> None:
    """A session with Clean Session 1 keeps its subscriptions and messages through many exchanges."""
    client, publisher = rig.connect(), rig.connect()
    client.subscribe(rig.topic(), qos=2)
    publisher.publish(rig.topic(), b"first", 1)
    first = client.expect(Publish)
    for number in range(100):
        publisher.publish(rig.topic(), str(number).encode(), 1 + number % 2)
        require_equal(client.message().payload, str(number).encode(), "the payload")
        others = rig.connect()
        others.publish(rig.topic("other"), b"payload", 1)
        others.disconnect()
    client.send(PubAck(first.packet_id))
    client.expect_nothing()


@statement("MQTT-4.1.0-2", slow=True)
def a_session_lasts_while_its_client_is_silent(rig: Rig) -> None:
    """A session lasts while its connection does, although nothing happens on it for some time."""
    clients = [rig.connect(), rig.connect(persistent=True)]
    for client in clients:
        client.subscribe(rig.topic(), qos=1)
    rig.wait(8)
    rig.connect().publish(rig.topic(), b"payload", 1)
    for client in clients:
        require_equal(client.message().payload, b"payload", "the payload")
