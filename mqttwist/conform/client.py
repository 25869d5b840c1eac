"""A client that checks speak through: sends what it is told, and says what came instead of what should.

What the Server sends is decoded as a client does it. What cannot be decoded, or is a packet that no Server
sends, fails the check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from mqttwist.conform.verdict import CheckFailed, require, require_equal, short
from mqttwist.wire.acknowledge import Acknowledgement, PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.codec import decode_packet
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.control import Auth, Disconnect, PingReq, PingResp
from mqttwist.wire.decoder import Decoder
from mqttwist.wire.errors import MQTTError
from mqttwist.wire.packet import MQTT_5, Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe

if TYPE_CHECKING:
    from mqttwist.conform.rig import Rig

AnyPacket = Packet | Publish
Kind = TypeVar("Kind", bound=AnyPacket)

READS_LIMIT = 500  # of what is read until nothing comes
_FROM_SERVER = (ConnAck, Publish, Acknowledgement, SubAck, UnsubAck, PingResp, Disconnect, Auth)


class Line(Protocol):
    """A Network Connection, seen from the client's end."""

    @property
    def is_closed(self) -> bool:
        """Whether the Server has closed it, as far as `receive` has found out."""

    def send(self, data: bytes) -> None:
        """Send `data`; nothing happens when the Server is gone."""

    def receive(self, seconds: float) -> bytes:
        """What came; nothing when nothing comes within `seconds`, or ever will."""

    def close(self) -> None:
        """Close without a word, and wait until the Server has seen it."""


def _either(reason_codes: tuple[int, ...]) -> str:
    return " or ".join([f"0x{one:02X}" for one in reason_codes])


class Client:
    """A client of protocol `version` on a Network Connection of its own.

    `connack` is the CONNACK that accepted it, if one did; `packet_bytes` is the packet that was expected
    last, as it came.
    """

    def __init__(self, rig: Rig, line: Line, version: int, client_id: str = "") -> None:
        self.version = version
        self.client_id = client_id
        self.connack = ConnAck()
        self.packet_bytes = b""
        self._rig = rig
        self._line = line
        self._is_accepted = False
        self._decoder = Decoder(version)
        self._waiting: list[tuple[AnyPacket, bytes]] = []  # what nobody has expected yet
        self._packet_id = 0

    # What is sent

    def send(self, *packets: AnyPacket | bytes) -> None:
        """Send packets, or any bytes, in one piece."""
        parts: list[bytes] = []
        for packet in packets:
            if isinstance(packet, Connect):
                self.client_id = self.client_id or packet.client_id
            parts.append(packet if isinstance(packet, bytes) else packet.encode(self.version))
        self._line.send(b"".join(parts))

    def next_packet_id(self) -> int:
        """A Packet Identifier that this client has not used yet."""
        self._packet_id += 1
        return self._packet_id

    # What comes

    def expect(self, kind: type[Kind]) -> Kind:
        """The next packet of this kind. Others that came before it stay, and are expected in their turn."""
        while True:
            for position, (packet, data) in enumerate(self._waiting):
                if isinstance(packet, kind):
                    del self._waiting[position]
                    self.packet_bytes = data
                    if isinstance(packet, ConnAck) and packet.reason_code == 0:
                        self._accepted(packet)
                    return packet
            if not self._read(self._rig.patience):
                raise CheckFailed(f"expected {kind.__name__}, {self._what_came()}")

    def expect_next(self, kind: type[Kind]) -> Kind:
        """The next packet, which must be of this kind."""
        while not self._waiting:
            if not self._read(self._rig.patience):
                raise CheckFailed(f"expected {kind.__name__}, {self._what_came()}")
        packet = self._waiting[0][0]
        require(isinstance(packet, kind), f"expected {kind.__name__} next, {self._what_came()}")
        return self.expect(kind)

    def expect_nothing(self) -> None:
        """Nothing came that was not expected, and the connection is open."""
        self._rig.settle(self)
        if self._waiting or self._line.is_closed:
            raise CheckFailed(f"expected nothing, {self._what_came()}")

    def expect_silence(self) -> None:
        """Like `expect_nothing`, but without a word to the Server, and so without certainty."""
        self.take_in()
        if self._waiting or self._line.is_closed:
            raise CheckFailed(f"expected nothing, {self._what_came()}")

    def expect_closed(self, *reason_codes: int) -> Disconnect | ConnAck | None:
        """The Server closes the connection, and sends nothing more except for a DISCONNECT or CONNACK.

        If it sends one, that tells of an error. That an accepted client of MQTT 5.0 is sent one, with one of
        `reason_codes` if there are any, is recommended only: no MUST is on it (4.13).
        """
        self._read_all(self._rig.patience)
        if not self._line.is_closed:
            raise CheckFailed(f"expected the connection to be closed, it is open and {self._what_came()}")
        if not self._waiting:
            wanted = bool(reason_codes) and self._is_accepted and self.version == MQTT_5
            self._rig.recommend(not wanted, f"DISCONNECT with {_either(reason_codes)} before the close")
            return None
        goodbye = self._waiting[0][0]
        if len(self._waiting) > 1 or not isinstance(goodbye, Disconnect | ConnAck):
            raise CheckFailed(f"expected the connection to be closed at once, {self._what_came()}")
        self._waiting.clear()
        self._expect_error(goodbye, reason_codes)
        return goodbye

    def _expect_error(self, goodbye: Disconnect | ConnAck, reason_codes: tuple[int, ...]) -> None:
        code = goodbye.reason_code
        least = 0x80 if self.version == MQTT_5 else 1
        require(code >= least, f"expected a Reason Code of an error, got 0x{code:02X} in {goodbye}")
        fits = not reason_codes or code in reason_codes
        self._rig.recommend(fits, f"Reason Code {_either(reason_codes)}, not 0x{code:02X}, before the close")

    def read_to_end(self) -> bytes:
        """What the Server sends until it closes the connection, which it must do; it may be anything."""
        data = b""
        for _ in range(READS_LIMIT):
            more = self._line.receive(self._rig.patience)
            if not more:
                break
            data += more
        require(
            self._line.is_closed, f"expected the connection to be closed, it is open and {short(data)} came"
        )
        return data

    def _read(self, seconds: float) -> bool:
        """Take in what comes within `seconds`; False when nothing did."""
        data = self._line.receive(seconds)
        decoder = self._decoder
        decoder.feed(data)
        try:
            while decoder.advance():
                whole = decoder.data[decoder.start : decoder.end]
                packet = decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, self.version)
                if not isinstance(packet, _FROM_SERVER) or (
                    self.version != MQTT_5 and isinstance(packet, Disconnect)
                ):
                    raise CheckFailed(f"the Server sent what Servers don't: {packet}")
                self._waiting.append((packet, whole))
        except MQTTError as error:
            raise CheckFailed(f"the Server sent what can't be decoded: {error}, in {data[:80]!r}") from error
        return data != b""

    def _what_came(self) -> str:
        came = ", ".join([short(packet) for packet, _ in self._waiting]) or "nothing"
        return f"{came} came{' and the connection was closed' if self._line.is_closed else ''}"

    def take_in(self, seconds: float | None = None) -> None:
        """Read what comes, until nothing does for `seconds`, or for as long as the rig says."""
        self._read_all(self._rig.quiet if seconds is None else seconds)

    def _read_all(self, seconds: float) -> None:
        """Read until nothing comes for so long; a Server that never stops is not waited for."""
        for _ in range(READS_LIMIT):
            if not self._read(seconds):
                return
        raise CheckFailed(f"the Server goes on and on: {self._what_came()[:500]}")

    def settle(self) -> None:
        """Have the Server answer a PINGREQ, and take in what came before the answer."""
        if self._line.is_closed or not self._is_accepted:
            self.take_in()
            return
        self.send(PingReq())
        while not any(isinstance(packet, PingResp) for packet, _ in self._waiting):
            if not self._read(self._rig.patience):
                return
        self.expect(PingResp)

    # Whole exchanges

    def answer(self) -> ConnAck | None:
        """The CONNACK, of whatever Reason Code; None when the Server has closed without one."""
        while not self._waiting and self._read(self._rig.patience):
            pass
        if not self._waiting and self._line.is_closed:
            return None
        return self.expect_next(ConnAck)

    def connected(self) -> None:
        """Expect the CONNACK that accepts the client."""
        connack = self.expect(ConnAck)
        require_equal(connack.reason_code, 0, "the Reason Code of CONNACK")

    def _accepted(self, connack: ConnAck) -> None:
        self._is_accepted = True
        self.connack = connack
        self.client_id = self.client_id or connack.properties.assigned_client_identifier or ""
        if self.client_id:
            self._rig.remember(self.client_id)

    def subscribe(self, topic_filter: str, qos: int = 0, identifier: int = 0, **options: Any) -> SubAck:
        """Subscribe, with `options` of `SubscriptionOptions`; the Server must accept it."""
        properties = Properties(subscription_identifiers=(identifier,)) if identifier else None
        packet_id = self.next_packet_id()
        self.send(Subscribe(packet_id, [SubscriptionOptions(topic_filter, qos, **options)], properties))
        suback = self.expect(SubAck)
        require_equal(suback.packet_id, packet_id, "the Packet Identifier of SUBACK")
        require(suback.reason_codes[0] < 0x80, f"the subscription to {topic_filter!r} is refused: {suback}")
        return suback

    def unsubscribe(self, topic_filter: str) -> UnsubAck:
        """Unsubscribe; the Server must say that it did."""
        packet_id = self.next_packet_id()
        self.send(Unsubscribe(packet_id, [topic_filter]))
        unsuback = self.expect(UnsubAck)
        require_equal(unsuback.packet_id, packet_id, "the Packet Identifier of UNSUBACK")
        return unsuback

    def publish(
        self, topic_name: str, payload: bytes = b"", qos: int = 0, retain: bool = False, **properties: Any
    ) -> None:
        """Publish and do what the QoS asks for, to its end; `properties` are those of `Properties`."""
        said = Properties(**properties) if properties else None
        packet_id = self.next_packet_id() if qos else 0
        self.send(Publish(topic_name, payload, qos, retain, said, packet_id))
        if qos == 1:
            self._confirmed(PubAck, packet_id)
        elif qos == 2:
            self._confirmed(PubRec, packet_id)
            self.send(PubRel(packet_id))
            self._confirmed(PubComp, packet_id)

    def _confirmed(self, kind: type[Acknowledgement], packet_id: int) -> None:
        acknowledgement = self.expect(kind)
        require_equal(acknowledgement.packet_id, packet_id, f"the Packet Identifier of {kind.__name__}")
        require(acknowledgement.reason_code < 0x80, f"the message is refused: {acknowledgement}")

    def message(self) -> Publish:
        """Expect a message, and do what its QoS asks for, to its end."""
        publish = self.expect(Publish)
        data = self.packet_bytes
        self.confirm(publish)
        self.packet_bytes = data
        return publish

    def confirm(self, publish: Publish) -> None:
        """Do what the QoS of a message asks for, to its end."""
        if publish.qos == 1:
            self.send(PubAck(publish.packet_id))
        elif publish.qos == 2:
            self.send(PubRec(publish.packet_id))
            pubrel = self.expect(PubRel)
            require_equal(pubrel.packet_id, publish.packet_id, "the Packet Identifier of PUBREL")
            self.send(PubComp(publish.packet_id))

    def has_message(self) -> bool:
        """Whether a message has come that was not expected yet."""
        return any(isinstance(packet, Publish) for packet, _ in self._waiting)

    def retained_topics(self) -> list[str]:
        """The Topic Names of the retained messages that came and were not expected."""
        packets = [packet for packet, _ in self._waiting]
        return [one.topic_name for one in packets if isinstance(one, Publish) and one.retain]

    def disconnect(self, reason_code: int = 0, **properties: Any) -> None:
        """Say goodbye with DISCONNECT, and wait until the Server has closed the connection."""
        self.send(Disconnect(reason_code, Properties(**properties)))
        for _ in range(READS_LIMIT):
            if not self._line.receive(self._rig.patience):
                break
        self._line.close()

    def drop(self) -> None:
        """Let the network fail."""
        self._line.close()
