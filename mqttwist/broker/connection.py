"""The server's half of a Network Connection: what each packet of a client leads to (chapter 3).

`RECEIVERS` at the end of the file says which packet is legal in which state, and which method deals with it.
Who gets in is decided in `admission`, what a client publishes in `publisher`, what it subscribes to in
`subscriber`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from mqttwist.broker.admission import Admission
from mqttwist.broker.doors import Authority
from mqttwist.broker.keep_alive import KeepAlive
from mqttwist.broker.publisher import Publisher
from mqttwist.broker.subscriber import Subscriber
from mqttwist.session.connection import (
    AUTHENTICATING,
    AWAITING_CONNECT,
    CLOSED,
    CONNECTED,
    READING_LOGIN,
    Connection,
    Transport,
)
from mqttwist.session.deadlines import Deadline
from mqttwist.session.session import Session
from mqttwist.wire.acknowledge import acknowledge, read_acknowledgement
from mqttwist.wire.codec import decode_packet
from mqttwist.wire.connect import ConnAck, Connect, UnsupportedProtocolVersion, decode_protocol_version
from mqttwist.wire.control import Disconnect, PingResp
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.errors import MQTTError, ProtocolError
from mqttwist.wire.packet import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    MQTT_5,
    PACKET_NAMES,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Packet,
)
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.reasons import REASON_CODES
from mqttwist.wire.subscribe import SubAck, Subscribe, UnsubAck, Unsubscribe

if TYPE_CHECKING:
    from mqttwist.broker.broker import Broker

SUCCESS: Final = 0x00
CONNECT_LIMIT: Final = 512 << 10  # bytes; room for all its fields, and little for whoever has not logged in
REASON_LIMIT: Final = 500  # characters of a Reason String; what a peer has sent may be quoted in it


class ServerConnection(Connection):
    """One client's Network Connection, as the Server sees it."""

    __slots__ = (
        "_broker", "_keep_alive", "_login_is_pending", "_on_end", "_publisher", "_subscriber", "_timeout",
        "cancel_login", "connect", "session",
    )  # fmt: skip

    connect: Connect | None  # the CONNECT, once it came
    session: Session | None  # the session, once the client is accepted
    _broker: Broker
    _publisher: Publisher | None  # what the client does, once it is accepted
    _subscriber: Subscriber | None
    _timeout: Deadline | None
    _keep_alive: KeepAlive | None
    _login_is_pending: bool
    _on_end: Callable[[], object] | None
    cancel_login: Callable[[], object] | None  # set by a login that takes its time; called if the client goes

    def __init__(self, broker: Broker, transport: Transport, peer: str) -> None:
        settings = broker.settings
        limit = min(settings.maximum_packet_size, CONNECT_LIMIT)
        super().__init__(transport, broker.turn, broker.metrics, limit, peer, broker.trace)
        self.connect = None
        self.session = None
        self._broker = broker
        self._publisher = None
        self._subscriber = None
        self._keep_alive = None
        self._login_is_pending = False
        self._on_end = None
        self.cancel_login = None
        self._timeout = broker.deadlines.at(
            broker.turn.now + settings.connect_timeout, self._connect_timed_out
        )

    # Packets

    def packet_received(self) -> bool:
        decoder = self.decoder
        data = decoder.data
        start = decoder.start
        packet_type = data[start] >> 4
        if packet_type == PUBLISH and self.state == CONNECTED:
            # The commonest packet takes the straight way.
            publish = Publish.decode(data, start, decoder.body, decoder.end, self.version)
            publisher = self._publisher
            if publish.qos:
                self._publish_received(publish)
            elif publisher is not None and (reason_code := publisher.received(publish)) >= 0x80:
                self._broker.publish_refused(publisher.client_id, publish.topic_name, reason_code)
            return True
        if packet_type in (PUBACK, PUBREC, PUBCOMP) and self.state == CONNECTED:
            # The next commonest are these, and nearly all of them say success in two bytes.
            body = decoder.body
            packet_id = data[body] << 8 | data[body + 1] if decoder.end - body == 2 else 0
            session = self.session
            if packet_id and session is not None:
                session.outgoing.acknowledged(packet_id, packet_type, SUCCESS)
            else:
                self._acknowledgement_received()
            return False
        if packet_type == PUBREL and self.state == CONNECTED:
            self._pubrel_received()
            return False
        receiver = RECEIVERS[self.state].get(packet_type)
        if receiver is None:
            raise self._illegal(packet_type)
        receiver(self)
        return False

    def _illegal(self, packet_type: int) -> ProtocolError:
        name = PACKET_NAMES[packet_type]
        if packet_type == CONNECT:
            return ProtocolError(0x82, "a second CONNECT", "MQTT-3.1.0-2")
        if packet_type == AUTH:
            return ProtocolError(0x82, "AUTH without an Authentication Method in CONNECT", "MQTT-4.12.0-7")
        return ProtocolError(0x82, f"{name} is sent by Servers only", "2.1.2")

    def _packet(self) -> Packet | Publish:
        decoder = self.decoder
        return decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, self.version)

    def send_packet(self, packet: Packet) -> bool:
        """Send anything but PUBLISH and its acknowledgements; False if it is too large [MQTT-3.1.2-24]."""
        encoded = packet.encode(self.version)
        if len(encoded) > self.peer_maximum_packet_size:
            return False
        self.send(encoded)
        self.metrics.others_sent += 1
        return True

    def _answer(self, packet: SubAck | UnsubAck) -> None:
        """A client that can't take the answer to its request would wait for it for ever: send it away."""
        encoded = packet.encode(self.version)
        if len(encoded) > self.peer_maximum_packet_size:
            text = "the answer is larger than the Client's Maximum Packet Size"
            raise ProtocolError(0x95, text, "MQTT-3.1.2-24")
        if min(packet.reason_codes) >= 0x80:
            self.send_when_stored(encoded, 0)
        else:
            self._promise(encoded)
        self.metrics.others_sent += 1

    # CONNECT (3.1)

    def _connect_received(self) -> None:
        decoder = self.decoder
        version, _ = decode_protocol_version(decoder.data, decoder.body, decoder.end)
        self.set_version(version)
        connect = Connect.decode(decoder.data, decoder.body, decoder.end)
        self.connect = connect
        decoder.maximum_packet_size = self._broker.settings.maximum_packet_size
        if connect.properties.maximum_packet_size is not None:
            self.peer_maximum_packet_size = connect.properties.maximum_packet_size
        refusal = Admission(self._broker).refusal(connect)
        if refusal is not None:
            self.refuse(refusal[0], refusal[1])
            return
        self.state = AUTHENTICATING
        self._broker.login(self, connect)
        if self.state == AUTHENTICATING:
            self._login_is_pending = True
            self.pause_reading(READING_LOGIN)

    def accept(
        self,
        authority: Authority | None,
        on_end: Callable[[], object] | None = None,
        identity: str | None = None,
    ) -> bool:
        """The login is through; False when the client has gone meanwhile or is refused all the same.

        An `authority` of None may do everything. `on_end` is called when an accepted connection has ended.
        `identity` is who has been proven to be there, None if nobody was asked: nobody else gets the session.
        """
        connect = self.connect
        if self.state != AUTHENTICATING or connect is None:
            return False
        self.turn.begin()
        admission = Admission(self._broker)
        refusal = admission.late_refusal(connect, authority)
        if refusal is not None:
            self.refuse(refusal[0], refusal[1])
            return False
        connack = admission.welcome(connect)
        maximum = connect.properties.maximum_packet_size
        if maximum is not None and len(connack.encode(self.version)) > maximum:
            self.refuse(ReasonCode.PACKET_TOO_LARGE.value, "the Client's Maximum Packet Size is too small")
            return False
        self._broker.sessions.make_way(self, connect, identity)
        again = partial(self.accept, authority, on_end, identity)  # a lambda makes all of `accept` slower
        if self._waits_for_the_end_of(connect.client_id, again):
            self.cancel_login = on_end
            return True
        self.cancel_login = None
        self._cancel_timeout()
        self._on_end = on_end
        session, connack.session_present = self._broker.sessions.open(
            self, connect, admission.expiry_interval(connect), authority, identity
        )
        self.session = session
        router, settings = self._broker.router, self._broker.settings
        self._publisher = Publisher(router, settings, session, authority)
        self._subscriber = Subscriber(router, settings, self._broker.drops, session, authority)
        self.state = CONNECTED
        self.send_packet(connack)
        session.incoming.attach(settings.receive_maximum if self.version == MQTT_5 else 0)
        session.outgoing.attach(self, admission.send_quota(connect), admission.topic_alias_maximum(connect))
        session.outgoing.resume()
        self._broker.router.offer_waiting(session)
        self.last_received = self.turn.now  # while the login was waited for, nothing was read
        keep_alive = connack.properties.server_keep_alive or connect.keep_alive
        if keep_alive:
            self._keep_alive = KeepAlive(self, self._broker.deadlines, keep_alive)
        self._broker.observer.connected(self, connack.session_present)
        connect.password = None  # what is not needed any more may be large, or secret
        if connect.properties.user_properties:
            connect.properties.user_properties = ()
        self._go_on()
        return True

    def _waits_for_the_end_of(self, client_id: str, call: Callable[[], object]) -> bool:
        """Whether the file does not know yet that the client's session before has ended; it is called then.

        To be told that there is no session is a promise as well: what the client sends under the same Packet
        Identifiers are other messages now.
        """
        journal = self.turn.journal
        if journal is None or not journal.when_forgotten(client_id, call):
            return False
        if self._login_is_pending:
            self.turn.end()
        return True

    def _go_on(self) -> None:
        """After a login that took its time: look at what has come in meanwhile."""
        if self._login_is_pending:
            self._login_is_pending = False
            self.resume_reading(READING_LOGIN)
            self.process()
            self.turn.end()

    def refuse(self, reason_code: int, text: str) -> None:
        """Do not accept the client: CONNACK with `reason_code` (0x80 and above), and close [MQTT-3.2.2-7]."""
        if self.state not in (AWAITING_CONNECT, AUTHENTICATING):
            return
        self.metrics.connections_refused += 1
        self._broker.observer.refused(self, reason_code, text)
        if self.version:
            self.send_packet(self._explain(ConnAck(False, reason_code), text))
        self._leave()
        if self._login_is_pending:
            self.turn.end()

    def _connect_timed_out(self, now: float) -> None:
        self._timeout = None
        seconds = self._broker.settings.connect_timeout
        if self.state == AWAITING_CONNECT:
            self.metrics.connections_refused += 1
            self._broker.observer.refused(self, 0, f"no CONNECT within {seconds:g} s")
            self._leave()
        elif self.state == AUTHENTICATING:
            self.refuse(ReasonCode.SERVER_UNAVAILABLE.value, f"the login took longer than {seconds:g} s")

    def _cancel_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    # PUBLISH and its acknowledgements (3.3 - 3.7)

    def _publish_received(self, publish: Publish) -> None:
        """Take a PUBLISH of QoS 1 or 2, and answer it."""
        publisher, session = self._publisher, self.session
        if publisher is None or session is None:
            return
        journal = self.turn.journal
        changes = 0
        is_known = False
        if journal is not None:
            changes = journal.changes
            # What it led to when it was received before may not be stored yet.
            is_known = publish.qos == 2 and publish.packet_id in session.incoming.unreleased
        reason_code = publisher.received(publish)
        if reason_code >= 0x80:
            self._broker.publish_refused(publisher.client_id, publish.topic_name, reason_code)
        # Before MQTT 5.0 an acknowledgement can't say no (3.1.1: [MQTT-3.3.5-2]).
        packet_type = PUBACK if publish.qos == 1 else PUBREC
        packet = acknowledge(packet_type, publish.packet_id, reason_code, self.version)
        self.metrics.others_sent += 1
        if journal is None:
            self.send(packet)
        elif journal.changes == changes and not is_known:
            self.send_when_stored(packet, 0)
        else:
            self.send_when_stored(packet, journal.latest_frame)

    def _acknowledgement_received(self) -> None:
        """PUBACK, PUBREC or PUBCOMP, in whatever form."""
        decoder = self.decoder
        data = decoder.data
        packet_type = data[decoder.start] >> 4
        packet_id, reason_code = read_acknowledgement(
            packet_type, data, decoder.body, decoder.end, self.version
        )
        session = self.session
        if session is not None:
            session.outgoing.acknowledged(packet_id, packet_type, reason_code)

    def _pubrel_received(self) -> None:
        decoder = self.decoder
        packet_id, _ = read_acknowledgement(PUBREL, decoder.data, decoder.body, decoder.end, self.version)
        known = self.session is not None and self.session.incoming.release(packet_id)
        reason_code = SUCCESS if known else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND.value
        self._promise(acknowledge(PUBCOMP, packet_id, reason_code, self.version))  # [MQTT-4.3.3-11]
        self.metrics.others_sent += 1

    def _promise(self, packet: bytes) -> None:
        """Send what says that something is so, when all that has happened up to now is stored.

        Of a session that ends with its connection nothing is stored.
        """
        journal = self.turn.journal
        session = self.session
        if journal is None or session is None:
            self.send(packet)
        else:
            is_recorded = session.outgoing.is_recorded
            self.send_when_stored(packet, journal.latest_frame if is_recorded else 0)

    # SUBSCRIBE and UNSUBSCRIBE (3.8 - 3.11)

    def _subscribe_received(self) -> None:
        packet = self._packet()
        subscriber = self._subscriber
        if subscriber is None or not isinstance(packet, Subscribe):
            return
        identifier = 0
        self._broker.router.subscriptions.begin_changes()
        if packet.properties is not None and packet.properties.subscription_identifiers:
            identifier = packet.properties.subscription_identifiers[0]
        reason_codes: list[int] = []
        for options in packet.subscriptions:
            reason_code = subscriber.subscribe(options, identifier)
            self._broker.observer.subscribed(self, options.topic_filter, reason_code)
            reason_codes.append(reason_code)
        self._answer(SubAck(packet.packet_id, reason_codes))
        subscriber.replay()

    def _unsubscribe_received(self) -> None:
        packet = self._packet()
        subscriber = self._subscriber
        if subscriber is None or not isinstance(packet, Unsubscribe):
            return
        self._broker.router.subscriptions.begin_changes()
        reason_codes: list[int] = []
        for topic_filter in packet.topic_filters:
            reason_code = subscriber.unsubscribe(topic_filter)
            self._broker.observer.unsubscribed(self, topic_filter, reason_code)
            reason_codes.append(reason_code)
        subscriber.hand_over()
        self._answer(UnsubAck(packet.packet_id, reason_codes))

    # PINGREQ and DISCONNECT (3.12 - 3.14)

    def _ping_received(self) -> None:
        self._packet()
        self.send_packet(PingResp())

    def _disconnect_received(self) -> None:
        packet = self._packet()
        if not isinstance(packet, Disconnect) or self.session is None or self.connect is None:
            return
        if packet.properties.server_reference is not None:
            raise ProtocolError(0x82, "DISCONNECT of a client has a Server Reference", "3.14.2.2.5")
        interval = packet.properties.session_expiry_interval
        if interval is not None:
            if interval and not self.connect.properties.session_expiry_interval:
                text = "DISCONNECT sets a Session Expiry Interval where CONNECT had none"
                raise ProtocolError(0x82, text, "3.14.2.2.2")
            interval = min(interval, self._broker.settings.maximum_session_expiry)
            self._broker.sessions.set_expiry(self.session, interval)
        cause = "DISCONNECT by the client"
        if packet.reason_code:
            cause += f" with 0x{packet.reason_code:02X}"
        if packet.properties.reason_string:
            cause += f": {packet.properties.reason_string[:REASON_LIMIT]!r}"
        self._end(cause, send_will=packet.reason_code != 0)  # [MQTT-3.14.4-3]

    # The end of a connection

    def lost(self, cause: str) -> None:
        """The transport is gone, because of the peer or the network."""
        self.turn.begin()
        if self.state == CONNECTED:
            self._end(cause, send_will=True)
        elif self.state != CLOSED:
            self.metrics.connections_refused += 1
            self._broker.observer.refused(self, 0, f"gone before it was accepted: {cause}")
            self._leave()
        self.turn.end()

    def fail(self, error: MQTTError) -> None:
        """The peer has broken the protocol (4.13): say so as far as its version lets us, and close."""
        self._broker.observer.faulted(self, error)
        if self.state == CONNECTED:
            reason_code = error.reason_code if error.reason_code in REASON_CODES[DISCONNECT] else 0x80
            self.disconnect(reason_code, error.text)
            return
        if isinstance(error, UnsupportedProtocolVersion):
            self._name_supported_version(error.version)
        elif self.version == MQTT_5:
            reason_code = error.reason_code if error.reason_code in REASON_CODES[CONNACK] else 0x80
            self.send_packet(self._explain(ConnAck(False, reason_code), error.text))
        self.metrics.connections_refused += 1
        self._leave()

    def _name_supported_version(self, version: int) -> None:
        """CONNACK for a protocol version we don't speak, in a form it may understand [MQTT-3.1.2-2]."""
        if version >= 0:
            # Bridges add 0x80 to the version that they speak.
            self.version = MQTT_5 if version & 0x7F > MQTT_5 else 4
            self.send_packet(ConnAck(False, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION.value))

    def disconnect(self, reason_code: int, text: str, note: str = "") -> None:
        """Send the client away: DISCONNECT with `reason_code` for MQTT 5.0, a plain close for 3.x.

        The `text` is said to the client, the `note` to the log only.
        """
        if self.state != CONNECTED:
            return
        if self.version == MQTT_5:
            self.send_packet(self._explain(Disconnect(reason_code), text))
        self._end(f"{text}{' ' + note if note else ''} (0x{reason_code:02X})", send_will=True)

    def taken_over(self, by: str) -> None:
        """The client has connected once more, from `by`."""
        self.disconnect(ReasonCode.SESSION_TAKEN_OVER.value, "session taken over", f"by {by}")

    def shut_down(self) -> None:
        """The Server stops."""
        if self.state == CONNECTED:
            self.disconnect(ReasonCode.SERVER_SHUTTING_DOWN.value, "the server is shutting down")
        elif self.state != CLOSED:
            self.refuse(ReasonCode.SERVER_UNAVAILABLE.value, "the server is shutting down")
            self._leave()

    def _end(self, cause: str, send_will: bool) -> None:
        """An accepted client is no longer connected."""
        session = self.session
        self._leave()
        if session is not None:
            self._broker.observer.disconnected(self, cause)
            self._broker.sessions.close(self, session, send_will)
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()

    def _leave(self) -> None:
        self._cancel_timeout()
        if self._keep_alive is not None:
            self._keep_alive.cancel()
            self._keep_alive = None
        was_authenticating = self.state == AUTHENTICATING
        self.close()
        self._broker.disconnected(self)
        cancel_login, self.cancel_login = self.cancel_login, None
        if was_authenticating and cancel_login is not None:
            cancel_login()

    def _explain(self, packet: ConnAck | Disconnect, text: str) -> Packet:
        """Add a Reason String, if the client wants to know about problems (3.1.2.11.7) and it fits."""
        connect = self.connect
        if connect is not None and connect.properties.request_problem_information != 0:
            packet.properties = Properties(reason_string=text[:REASON_LIMIT])
            if len(packet.encode(self.version)) > self.peer_maximum_packet_size:
                packet.properties = Properties()  # [MQTT-3.2.2-19] [MQTT-3.14.2-3]
        return packet

    # What waits

    def room_made(self) -> None:
        if self.session is not None:
            self.session.outgoing.pump()

    def send_overdue(self, retry_interval: float) -> None:
        """Send again what a 3.x client has not acknowledged for `retry_interval` seconds."""
        if self.session is not None:
            self.session.outgoing.send_overdue(retry_interval)


_Receiver = Callable[[ServerConnection], None]

_CONNECTED_RECEIVERS: Final[dict[int, _Receiver]] = {
    PUBACK: ServerConnection._acknowledgement_received,
    PUBREC: ServerConnection._acknowledgement_received,
    PUBREL: ServerConnection._pubrel_received,
    PUBCOMP: ServerConnection._acknowledgement_received,
    SUBSCRIBE: ServerConnection._subscribe_received,
    UNSUBSCRIBE: ServerConnection._unsubscribe_received,
    PINGREQ: ServerConnection._ping_received,
    DISCONNECT: ServerConnection._disconnect_received,
}

# Of each state, the packets that are legal in it. CONNECTED takes PUBLISH too, on a shorter way.
# The rest are what only a Server sends (CONNACK, SUBACK, UNSUBACK, PINGRESP), a second CONNECT, and AUTH.
RECEIVERS: Final[dict[int, dict[int, _Receiver]]] = {
    AWAITING_CONNECT: {CONNECT: ServerConnection._connect_received},
    AUTHENTICATING: {},
    CONNECTED: _CONNECTED_RECEIVERS,
    CLOSED: {},
}
