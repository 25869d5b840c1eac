"""3.14 DISCONNECT. That DISCONNECT deletes the Will stands beside the checks of the Will."""

from __future__ import annotations

from mqttwist.conform.rig import Rig
from mqttwist.conform.v5.connect_wills import sent, watching, will
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.control import Disconnect, PingReq
from mqttwist.wire.packet import DISCONNECT, frame
from mqttwist.wire.publish import Publish


@statement("MQTT-3.14.1-1", "MQTT-3.1.2-8")
def disconnect_with_other_flags_is_none(rig: Rig) -> None:
    """DISCONNECT with a reserved bit closes the connection as a fault does: the Will is published."""
    watcher = watching(rig)
    for flags in range(1, 16):
        client = rig.connect(will=will(rig))
        client.send(frame(DISCONNECT << 4 | flags, b""))
        with about(f"flags 0x{flags:X}"):
            client.expect_closed()
            sent(watcher)


@statement("MQTT-3.14.4-2")
def nothing_follows_disconnect(rig: Rig) -> None:
    """What comes after DISCONNECT, in the same piece, is not processed."""
    watcher = watching(rig)
    client = rig.connect(will=will(rig))
    client.send(Disconnect(), Publish(rig.topic("will"), b"late", 1, packet_id=1), PingReq())
    require_equal(client.read_to_end(), b"", "what the Server sent after DISCONNECT")
    rig.reaches(watcher, "will")
    rig.connect(will=will(rig)).drop()
    sent(watcher)


@statement("MQTT-3.14.4-3")
def disconnect_deletes_the_will_of_this_connection(rig: Rig) -> None:
    """DISCONNECT deletes the Will of its own connection; those of others stay, and a new one counts."""
    watcher, other = watching(rig), rig.connect(will=will(rig))
    for persistent in (True, False):
        client = rig.connect(will=will(rig, 2, retain=True), persistent=persistent)
        client.disconnect()
        watcher.expect_nothing()
        client = rig.connect(client.client_id, will=will(rig), persistent=persistent)
        watcher.expect_nothing()
        client.drop()
        sent(watcher)
    late = rig.connect()
    late.subscribe(rig.topic("will"))
    late.expect_nothing()
    require(not other.has_message(), "a message came to a client that has not subscribed")
    other.drop()
    sent(watcher)
