"""4.1 Session State."""

from __future__ import annotations

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.connect_sessions import has_nothing_left, leave_everything
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.acknowledge import PubComp, PubRec, PubRel
from mqttwist.wire.publish import Publish


def begin(rig: Rig, client: Client, label: str = "") -> Client:
    """Give the session of `client` a subscription, and a QoS 2 message on its way; who is sent that."""
    watcher = rig.connect()
    watcher.subscribe(rig.topic(f"from/{label}"), qos=2)
    client.subscribe(rig.topic(f"to/{label}"), qos=2)
    client.send(Publish(rig.topic(f"from/{label}"), b"mine", 2, packet_id=9))
    client.expect(PubRec)
    return watcher


def is_still_there(rig: Rig, client: Client, watcher: Client, label: str = "") -> None:
    """What `begin` has begun goes on: the subscription is there, and the message is not taken twice."""
    watcher.publish(rig.topic(f"to/{label}"), b"new", 2)
    require_equal(client.message().payload, b"new", "the payload of a message to the subscription")
    client.send(Publish(rig.topic(f"from/{label}"), b"mine", 2, packet_id=9, dup=True))
    client.expect(PubRec)
    client.send(PubRel(9))
    client.expect(PubComp)
    require_equal(watcher.message().payload, b"mine", "the payload of what was sent twice")
    watcher.expect_nothing()
    client.expect_nothing()


@statement("MQTT-4.1.0-1", slow=True)
def the_session_lasts_while_the_connection_is_open(rig: Rig) -> None:
    """No part of the session is lost while the client is there, however short its interval."""
    publisher = rig.connect()
    clients = {str(interval): rig.connect(session_expiry_interval=interval) for interval in (None, 0, 1)}
    watchers = {label: begin(rig, client, label) for label, client in clients.items()}
    for label in clients:
        publisher.publish(rig.topic(f"to/{label}"), b"one", 1)
    rig.wait(4)
    for label, client in clients.items():
        with about(f"Session Expiry Interval {label}"):
            require_equal(client.message().payload, b"one", "the payload of what was on its way")
            is_still_there(rig, client, watchers[label], label)


@statement("MQTT-4.1.0-1", slow=True)
def a_resumed_session_lasts_while_the_connection_is_open(rig: Rig) -> None:
    """A session that is resumed before its end does not end at the time at which it would have."""
    client = rig.connect(session_expiry_interval=2)
    watcher = begin(rig, client)
    client.drop()
    client = rig.connect(client.client_id, clean_start=False, session_expiry_interval=2)
    require(client.connack.session_present, "the session is gone before its time")
    rig.wait(5)
    is_still_there(rig, client, watcher)


@statement("MQTT-4.1.0-2")
def without_an_interval_the_session_ends_with_the_connection(rig: Rig) -> None:
    """With an interval of 0, in CONNECT or DISCONNECT, nothing is left when the client is gone."""
    for interval in (None, 0, 60):
        away = leave_everything(rig)
        client = rig.connect(away.client_id, clean_start=False, session_expiry_interval=interval)
        require(client.connack.session_present, "the session is gone before its time")
        if interval:
            client.disconnect(session_expiry_interval=0)
        else:
            client.drop()
        with about(f"Session Expiry Interval {interval}"):
            client = rig.connect(away.client_id, clean_start=False)
            require(not client.connack.session_present, "the session is there after its time")
            has_nothing_left(rig, client)
        client.disconnect()


@statement("MQTT-4.1.0-2", slow=True)
def the_session_is_discarded_when_its_interval_has_passed(rig: Rig) -> None:
    """When the Session Expiry Interval has passed nothing is left, one set by DISCONNECT counts as well."""
    away = [leave_everything(rig) for _ in range(2)]
    for client, interval in zip(away, (1, 600), strict=True):
        again = rig.connect(client.client_id, clean_start=False, session_expiry_interval=interval)
        require(again.connack.session_present, "the session is gone before its time")
        if interval == 600:
            again.disconnect(session_expiry_interval=1)
        else:
            again.drop()
    rig.wait(4)
    for client in away:
        again = rig.connect(client.client_id, clean_start=False)
        require(not again.connack.session_present, "the session is there after its time")
        has_nothing_left(rig, again)
        again.disconnect()


@statement("MQTT-4.1.0-2", slow=True)
def the_session_is_kept_until_its_interval_has_passed(rig: Rig) -> None:
    """Before the interval has passed the session is there, also before one that DISCONNECT has set."""
    publisher = rig.connect()
    for interval, then in ((60, None), (1, 60)):
        client = rig.connect(session_expiry_interval=interval)
        client.subscribe(rig.topic(), qos=1)
        client.disconnect(session_expiry_interval=then)
        rig.wait(3)
        publisher.publish(rig.topic(), b"waiting", 1)
        client = rig.connect(client.client_id, clean_start=False)
        require(client.connack.session_present, "the session is gone before its time")
        require_equal(client.message().payload, b"waiting", "the payload of what waited")
        client.disconnect()


@statement("MQTT-4.1.0-2")
def retained_messages_outlive_the_session(rig: Rig) -> None:
    """When a session ends what it has published with RETAIN is kept: that is no part of its state."""
    client = rig.connect()
    client.subscribe(rig.topic(), qos=1)
    client.publish(rig.topic(), b"kept", 1, retain=True)
    client.disconnect()
    client = rig.connect(client.client_id, clean_start=False)
    require(not client.connack.session_present, "the session is there after its time")
    client.expect_nothing()
    client.subscribe(rig.topic(), qos=1)
    require_equal(client.message().payload, b"kept", "the payload")
