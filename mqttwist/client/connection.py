"""The client's half of a Network Connection: what each packet of the Server leads to (chapter 3).

`RECEIVERS` at the end of the file says which packet is legal in which state, and which method deals with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mqttwist.client.doors import AuthenticationFailed, Authenticator
from mqttwist.client.errors import ClientError, ConnectionEnded, ConnectRefused
from mqttwist.client.limits import ServerLimits
from mqttwist.session.aliases import InboundAliases
from mqttwist.session.connection import (
    AWAITING_CONNECT,
    CLOSED,
    CONNECTED,
    Connection,
    Trace,
    Transport,
)
from mqttwist.wire.acknowledge import decode_acknowledgement, read_acknowledgement
from mqttwist.wire.codec import decode_packet
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.control import Auth, Disconnect, PingReq
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.errors import MQTTError, ProtocolError
from mqttwist.wire.packet import (
    AUTH,
    CONNACK,
    DISCONNECT,
    MQTT_5,
    PACKET_NAMES,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    UNSUBACK,
    Packet,
)
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, UnsubAck

if TYPE_CHECKING:
    from mqttwist.client.client import Client

AWAITING_CONNACK: Final = AWAITING_CONNECT  # the same state, seen from the other side
REASON_LIMIT: Final = 500  # characters of a Reason String that are kept for the log
PING_MARGIN: Final = 2.0  # seconds that PINGREQ comes before it is due: we look once a second

# What a Client may say in DISCONNECT (3.14.2.1).
OUR_REASONS: Final = frozenset({0x00, 0x04, *range(0x80, 0x84), 0x90, *range(0x93, 0x9A)})

# What a return code of 3.x means in the Reason Codes of MQTT 5.0 (3.1.1: 3.2.2.3).
RETURN_CODES: Final = (0x00, 0x84, 0x85, 0x88, 0x86, 0x87)


class ClientConnection(Connection):
    """One Network Connection to a Server. `connect` is the CONNECT that was sent."""

    __slots__ = (
        "_aliases", "_authenticator", "_client", "_is_authenticating", "_opened_at", "_ping_sent_at",
        "connect", "is_unanswered", "keep_alive", "last_sent", "limits",
    )  # fmt: skip

    connect: Connect
    keep_alive: int  # seconds; 0: none
    limits: ServerLimits
    is_unanswered: bool  # the Server has closed it without a word
    last_sent: float  # by the turn's clock
    _client: Client
    _aliases: InboundAliases
    _authenticator: Authenticator | None
    _is_authenticating: bool  # AUTH goes to and fro
    _opened_at: float
    _ping_sent_at: float  # 0.0: no PINGRESP is waited for

    def __init__(
        self,
        client: Client,
        transport: Transport,
        peer: str,
        connect: Connect,
        authenticator: Authenticator | None,
        trace: Trace | None,
    ) -> None:
        super().__init__(
            transport, client.turn, client.metrics, client.settings.maximum_packet_size, peer, trace
        )
        self._client = client
        self.connect = connect
        self.keep_alive = connect.keep_alive
        self.limits = ServerLimits(connect.version)
        self.is_unanswered = False
        self.last_sent = client.turn.now
        self._aliases = InboundAliases(client.settings.topic_alias_maximum)
        self._authenticator = authenticator
        self._is_authenticating = authenticator is not None
        self._opened_at = client.turn.now
        self._ping_sent_at = 0.0
        self.set_version(connect.version)

    # Packets

    def packet_received(self) -> bool:
        decoder = self.decoder
        data = decoder.data
        start = decoder.start
        packet_type = data[start] >> 4
        if packet_type == PUBLISH and self.state == CONNECTED:
            self._publish_received(Publish.decode(data, start, decoder.body, decoder.end, self.version))
            return True
        receiver = RECEIVERS[self.state].get(packet_type)
        if receiver is None:
            raise self._illegal(packet_type)
        receiver(self)
        return False

    def _illegal(self, packet_type: int) -> ProtocolError:
        name = PACKET_NAMES[packet_type]
        if self.state == AWAITING_CONNACK and packet_type in RECEIVERS[CONNECTED]:
            return ProtocolError(0x82, f"{name} before CONNACK", "MQTT-3.2.0-1")
        if packet_type == CONNACK:
            return ProtocolError(0x82, "a second CONNACK", "MQTT-3.2.0-2")
        return ProtocolError(0x82, f"{name} is sent by Clients only", "2.1.2")

    def _packet(self) -> Packet | Publish:
        decoder = self.decoder
        return decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, self.version)

    def send_packet(self, packet: Packet) -> None:
        """Send anything but PUBLISH and its acknowledgements. Raises `ValueError` for what can't be said."""
        self.send(packet.encode(self.version))
        self.metrics.others_sent += 1

    def _write(self) -> None:
        self.last_sent = self.turn.now
        super()._write()

    # CONNECT and CONNACK (3.1, 3.2)

    def _connack_received(self) -> None:
        decoder = self.decoder
        refusal = self._old_refusal()
        if refusal:
            self.end(ConnectRefused(refusal))
            return
        connack = ConnAck.decode(decoder.data, decoder.body, decoder.end, self.version)
        if connack.reason_code:
            self._refused(connack)
            return
        self._check_connack(connack)
        self._finish_authentication(connack.properties.authentication_data)
        if self.state != AWAITING_CONNACK:
            return
        if connack.properties.server_keep_alive is not None:  # [MQTT-3.1.2-21] [MQTT-3.2.2-21]
            self.keep_alive = connack.properties.server_keep_alive
        self.limits = ServerLimits(self.version, connack)
        self.state = CONNECTED
        self._client.accepted(self, connack)

    def _old_refusal(self) -> int:
        """A Server that does not know MQTT 5.0 says so with the CONNACK of an older version; else 0."""
        decoder = self.decoder
        if self.version != MQTT_5 or decoder.end - decoder.body != 2:
            return 0
        code = decoder.data[decoder.body + 1]
        return RETURN_CODES[code] if 0 < code < len(RETURN_CODES) else 0

    def _refused(self, connack: ConnAck) -> None:
        properties = connack.properties
        code = connack.reason_code if self.version == MQTT_5 else RETURN_CODES[connack.reason_code]
        error = ConnectRefused(code, properties.reason_string, properties.user_properties)
        error.server_reference = properties.server_reference
        self.end(error)

    def _check_connack(self, connack: ConnAck) -> None:
        """Hold the Server to what it must not say."""
        if connack.session_present and self.connect.clean_start:
            text = "Session Present is set although a clean start was asked for"
            raise ProtocolError(0x82, text, "MQTT-3.2.2-4")
        properties = connack.properties
        if (
            self.version == MQTT_5
            and not self.connect.client_id
            and not properties.assigned_client_identifier
        ):
            raise ProtocolError(0x82, "CONNACK assigns no Client Identifier", "MQTT-3.2.2-16")
        if properties.authentication_method != self.connect.properties.authentication_method:
            raise ProtocolError(0x82, "CONNACK has another Authentication Method", "MQTT-4.12.0-5")

    # PUBLISH and its acknowledgements (3.3 - 3.7)

    def _publish_received(self, publish: Publish) -> None:
        if publish.topic_alias:
            self._aliases.resolve(publish)
        self._client.arrived(publish)

    def _acknowledgement_received(self) -> None:
        decoder = self.decoder
        data, body, end = decoder.data, decoder.body, decoder.end
        packet_type = data[decoder.start] >> 4
        outgoing = self._client.outgoing
        if end - body > 3:
            answer = decode_acknowledgement(packet_type, data, body, end, self.version)
            self._check_problem_information(answer.properties)
            outgoing.answer = answer
        packet_id, reason_code = read_acknowledgement(packet_type, data, body, end, self.version)
        outgoing.acknowledged(packet_id, packet_type, reason_code)
        outgoing.answer = None

    def _check_problem_information(self, said: Properties | None) -> None:
        """A Server that was asked for none must not explain itself in other packets (3.1.2.11.7)."""
        if said is None or self.connect.properties.request_problem_information != 0:
            return
        if said.reason_string is not None or said.user_properties:
            text = "a Reason String or User Property, although no problem information was asked for"
            raise ProtocolError(0x82, text, "MQTT-3.1.2-29")

    def _pubrel_received(self) -> None:
        decoder = self.decoder
        packet_id, _ = read_acknowledgement(PUBREL, decoder.data, decoder.body, decoder.end, self.version)
        self._client.incoming.released(packet_id)

    # SUBACK and UNSUBACK (3.9, 3.11)

    def _suback_received(self) -> None:
        packet = self._packet()
        if isinstance(packet, SubAck):
            self._check_problem_information(packet.properties)
            self._client.subscribed(packet)

    def _unsuback_received(self) -> None:
        packet = self._packet()
        if isinstance(packet, UnsubAck):
            self._check_problem_information(packet.properties)
            self._client.unsubscribed(packet)

    # Keep Alive (3.1.2.10)

    def look(self, now: float, ping_timeout: float) -> None:
        """Send PINGREQ before nothing was sent for as long as Keep Alive says [MQTT-3.1.2-20].

        A Server of which nothing comes for `ping_timeout` seconds then is taken for gone: what it sends may
        be so long that PINGRESP has to wait. One that was not read from may have answered.
        """
        if self.state == AWAITING_CONNACK:
            self._look_for_connack(now)
        if self.state != CONNECTED:
            return
        if self._ping_sent_at:
            if self.reading_is_paused:
                self._ping_sent_at = now
            elif now - max(self._ping_sent_at, self.last_received) >= ping_timeout:
                text = f"the Server has not answered PINGREQ for {ping_timeout:g} s"
                self.end(ConnectionEnded(text), abort=True)
                return
        elif self.keep_alive and now >= self.ping_due_at:
            self._ping_sent_at = now
            self.send_packet(PingReq())

    @property
    def ping_due_at(self) -> float:
        """When PINGREQ is due if nothing else is sent, by the turn's clock; Keep Alive is not 0."""
        return self.last_sent + self.keep_alive - min(PING_MARGIN, self.keep_alive / 2)

    def _look_for_connack(self, now: float) -> None:
        patience = self._client.settings.connect_timeout
        if now - self._opened_at >= patience:
            self.end(ConnectionEnded(f"no CONNACK within {patience:g} s"), abort=True)

    def _pong_received(self) -> None:
        self._packet()
        self._ping_sent_at = 0.0

    # AUTH (3.15, 4.12)

    def _auth_received(self) -> None:
        packet = self._packet()
        authenticator = self._authenticator
        if not isinstance(packet, Auth):
            return
        if authenticator is None or packet.properties.authentication_method != authenticator.method:
            text = "AUTH with an Authentication Method that CONNECT did not have"
            raise ProtocolError(0x82, text, "MQTT-4.12.0-5")
        self._check_problem_information(packet.properties)
        data = packet.properties.authentication_data
        if packet.reason_code == ReasonCode.CONTINUE_AUTHENTICATION.value:
            if not self._is_authenticating:
                raise ProtocolError(0x82, "AUTH to go on with what was not begun", "4.12.1")
            self._answer_challenge(authenticator, data)
        elif packet.reason_code == 0 and self.state == CONNECTED and self._is_authenticating:
            self._finish_authentication(data)
        else:
            text = f"AUTH with 0x{packet.reason_code:02X} at the wrong time"
            raise ProtocolError(0x82, text, "4.12.1")

    def _answer_challenge(self, authenticator: Authenticator, data: bytes | None) -> None:
        try:
            answer = authenticator.step(data)
        except AuthenticationFailed as error:
            self._distrust(error)
            return
        self._send_auth(authenticator, ReasonCode.CONTINUE_AUTHENTICATION.value, answer)  # [MQTT-4.12.0-3]

    def _finish_authentication(self, data: bytes | None) -> None:
        authenticator = self._authenticator
        if authenticator is None or not self._is_authenticating:
            return
        self._is_authenticating = False
        try:
            authenticator.finish(data)
        except AuthenticationFailed as error:
            self._distrust(error)

    def _send_auth(self, authenticator: Authenticator, reason_code: int, data: bytes | None) -> None:
        properties = Properties(authentication_method=authenticator.method, authentication_data=data)
        encoded = Auth(reason_code, properties).encode(self.version)
        if len(encoded) > self.peer_maximum_packet_size:  # [MQTT-3.2.2-15]
            self._distrust(AuthenticationFailed("AUTH would be larger than the Server takes"))
            return
        self.send(encoded)
        self.metrics.others_sent += 1

    def _distrust(self, error: AuthenticationFailed) -> None:
        """The Server has not proven who it is [MQTT-4.12.1-2]. 0x87 is for Servers to say."""
        code = ReasonCode.UNSPECIFIED_ERROR.value
        self.disconnect(code, ConnectionEnded(f"authentication failed: {error}", code))

    def reauthenticate(self) -> None:
        """Prove once more who we are (4.12.1), by the method of CONNECT [MQTT-4.12.1-1].

        Raises `ClientError` where there was none, or while it is being done.
        """
        authenticator = self._authenticator
        if authenticator is None:
            raise ClientError("CONNECT had no Authentication Method [MQTT-4.12.0-7]")
        if self._is_authenticating or self.state != CONNECTED:
            raise ClientError("authentication is under way")
        data = authenticator.start()
        self._is_authenticating = True
        self._send_auth(authenticator, ReasonCode.RE_AUTHENTICATE.value, data)

    # The end of a connection

    def _disconnect_received(self) -> None:
        packet = self._packet()
        if not isinstance(packet, Disconnect):
            return
        if self.version != MQTT_5:
            raise ProtocolError(0x82, "DISCONNECT is sent by Clients only", "3.1.1: 3.14")
        if packet.properties.session_expiry_interval is not None:
            raise ProtocolError(0x82, "DISCONNECT of the Server has an expiry interval", "MQTT-3.14.2-2")
        text = "DISCONNECT by the Server"
        if packet.properties.reason_string:
            text += f": {packet.properties.reason_string[:REASON_LIMIT]}"
        reference = packet.properties.server_reference
        self.end(ConnectionEnded(text, packet.reason_code, True, reference))

    def fail(self, error: MQTTError) -> None:
        """The Server has broken the protocol (4.13): say so as far as the version lets us, and close."""
        code = error.reason_code if error.reason_code in OUR_REASONS else 0x82
        self.disconnect(code, ConnectionEnded(str(error), code))

    def disconnect(self, reason_code: int, error: ClientError, properties: Properties | None = None) -> None:
        """Say goodbye and close. `properties` that make the packet too large for the Server are left out.

        Before MQTT 5.0 a DISCONNECT can only mean that all is well, and that the Will is not to be sent.
        Raises `ValueError` for a Reason Code that is for Servers, and for a session that is to outlive the
        connection though CONNECT did not say so (3.14.2.2.2).
        """
        if reason_code not in OUR_REASONS:
            raise ValueError(f"0x{reason_code:02X} is no Reason Code of a Client's DISCONNECT")
        said = properties or Properties()
        if said.session_expiry_interval and not self.connect.properties.session_expiry_interval:
            raise ValueError("the Session Expiry Interval was 0 in CONNECT, and must stay so (3.14.2.2.2)")
        if self.state != CLOSED and self.version == MQTT_5:
            encoded = Disconnect(reason_code, said).encode(self.version)
            if len(encoded) > self.peer_maximum_packet_size:  # [MQTT-3.14.2-3] [MQTT-3.14.2-4]
                kept = Properties(session_expiry_interval=said.session_expiry_interval)
                encoded = Disconnect(reason_code, kept).encode(self.version)
            self.send(encoded)
            self.metrics.others_sent += 1
        elif self.state == CONNECTED and reason_code == 0:
            self.send_packet(Disconnect())
        self.end(error)

    def lost(self, cause: str) -> None:
        """The transport is gone."""
        self.turn.begin()
        self.is_unanswered = self.state == AWAITING_CONNACK
        self.end(ConnectionEnded(cause))
        self.turn.end()

    def end(self, error: ClientError, abort: bool = False) -> None:
        """The connection is over, because of `error`; with `abort` nobody is there to read last words."""
        if self.state == CLOSED:
            return
        if abort:
            self.outbox.clear()
        self.close()
        self._client.ended(self, error)

    # The transport

    def room_made(self) -> None:
        self._client.outgoing.pump()


Receive = Callable[[ClientConnection], None]

RECEIVERS: Final[dict[int, dict[int, Receive]]] = {
    AWAITING_CONNACK: {
        CONNACK: ClientConnection._connack_received,
        AUTH: ClientConnection._auth_received,
    },
    CONNECTED: {
        PUBACK: ClientConnection._acknowledgement_received,
        PUBREC: ClientConnection._acknowledgement_received,
        PUBREL: ClientConnection._pubrel_received,
        PUBCOMP: ClientConnection._acknowledgement_received,
        SUBACK: ClientConnection._suback_received,
        UNSUBACK: ClientConnection._unsuback_received,
        PINGRESP: ClientConnection._pong_received,
        DISCONNECT: ClientConnection._disconnect_received,
        AUTH: ClientConnection._auth_received,
    },
}
