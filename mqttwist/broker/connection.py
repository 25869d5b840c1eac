"""The server's half of a Network Connection: what each packet of a client leads to (chapter 3).

`RECEIVERS` at the end of the file says which packet is legal in which state, and which method deals with it.
CONNECT has a file of its own, `admission`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mqttwist.broker.admission import Admission
from mqttwist.broker.deadlines import Deadline
from mqttwist.broker.doors import Authority
from mqttwist.session.aliases import InboundAliases
from mqttwist.session.connection import (
    AUTHENTICATING,
    AWAITING_CONNECT,
    CLOSED,
    CONNECTED,
    Connection,
    Transport,
)
from mqttwist.session.delivery import QUEUE_FULL
from mqttwist.session.session import Session, Subscription
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
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe

if TYPE_CHECKING:
    from mqttwist.broker.broker import Broker

SUCCESS: Final = 0x00
PERMISSIONS_LIMIT: Final = 1000  # how many answers of an authority one connection remembers
REPLAY_LIMIT: Final = 100_000  # messages that may wait when retained ones are asked for, beside all retained
REASON_LIMIT: Final = 500  # characters of a Reason String; what a peer has sent may be quoted in it


class ServerConnection(Connection):
    """One client's Network Connection, as the Server sees it."""

    __slots__ = (
        "_aliases", "_authority", "_broker", "_keep_alive_due", "_login_is_pending", "_on_end",
        "_permissions", "_timeout", "connect", "session",
    )  # fmt: skip

    connect: Connect | None  # the CONNECT, once it came
    session: Session | None  # the session, once the client is accepted
    _broker: Broker
    _authority: Authority | None
    _aliases: InboundAliases
    _permissions: dict[tuple[str, int, bool], bool]
    _timeout: Deadline | None
    _keep_alive_due: Deadline | None
    _login_is_pending: bool
    _on_end: Callable[[], object] | None

    def __init__(self, broker: Broker, transport: Transport, peer: str) -> None:
        settings = broker.settings
        super().__init__(
            transport, broker.turn, broker.metrics, settings.maximum_packet_size, peer, broker.trace
        )
        self.connect = None
        self.session = None
        self._broker = broker
        self._authority = None
        self._aliases = InboundAliases(settings.topic_alias_maximum)
        self._permissions = {}
        self._keep_alive_due = None
        self._login_is_pending = False
        self._on_end = None
        self._timeout = broker.deadlines.at(
            broker.turn.now + settings.connect_timeout, self._connect_timed_out
        )

    # Packets

    def packet_received(self) -> None:
        decoder = self.decoder
        packet_type = decoder.data[decoder.start] >> 4
        if packet_type == PUBLISH and self.state == CONNECTED:
            # The commonest packet takes the straight way.
            publish = Publish.decode(decoder.data, decoder.start, decoder.body, decoder.end, self.version)
            self._publish_received(publish)
            return
        if PUBACK <= packet_type <= PUBCOMP and packet_type != PUBREL and self.state == CONNECTED:
            self._acknowledgement_received()  # the next commonest
            return
        receiver = RECEIVERS[self.state].get(packet_type)
        if receiver is None:
            raise self._illegal(packet_type)
        receiver(self)

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
        self.metrics.messages_sent += 1
        return True

    def _answer(self, packet: SubAck | UnsubAck) -> None:
        """A client that can't take the answer to its request would wait for it for ever: send it away."""
        if not self.send_packet(packet):
            text = "the answer is larger than the Client's Maximum Packet Size"
            raise ProtocolError(0x95, text, "MQTT-3.1.2-24")

    # CONNECT (3.1)

    def _connect_received(self) -> None:
        decoder = self.decoder
        version, _ = decode_protocol_version(decoder.data, decoder.body, decoder.end)
        self.set_version(version)
        connect = Connect.decode(decoder.data, decoder.body, decoder.end)
        self.connect = connect
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
            self.pause_reading()

    def accept(self, authority: Authority | None, on_end: Callable[[], object] | None = None) -> bool:
        """The login is through; False when the client has gone meanwhile or is refused all the same.

        An `authority` of None may do everything. `on_end` is called when an accepted connection has ended.
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
        if len(connack.encode(self.version)) > self.peer_maximum_packet_size:
            self.refuse(ReasonCode.PACKET_TOO_LARGE.value, "the Client's Maximum Packet Size is too small")
            return False
        self._cancel_timeout()
        self._on_end = on_end
        self._authority = authority
        session, connack.session_present = self._broker.sessions.open(
            self, connect, admission.expiry_interval(connect), authority
        )
        self.session = session
        self.state = CONNECTED
        self.send_packet(connack)
        session.incoming.attach(self._broker.settings.receive_maximum if self.version == MQTT_5 else 0)
        session.outgoing.attach(self, admission.send_quota(connect), admission.topic_alias_maximum(connect))
        session.outgoing.resume()
        self.last_received = self.turn.now  # while the login was waited for, nothing was read
        self._watch_keep_alive(connack.properties.server_keep_alive or connect.keep_alive)
        self._broker.observer.connected(self, connack.session_present)
        self._go_on()
        return True

    def _go_on(self) -> None:
        """After a login that took its time: look at what has come in meanwhile."""
        if self._login_is_pending:
            self._login_is_pending = False
            self.resume_reading()
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

    # Keep alive (3.1.2.10)

    def _watch_keep_alive(self, keep_alive: int) -> None:
        if keep_alive:
            limit = keep_alive * 1.5
            self._keep_alive_due = self._broker.deadlines.at(
                self.last_received + limit, lambda now: self._check_keep_alive(now, limit)
            )

    def _check_keep_alive(self, now: float, limit: float) -> None:
        due = self.last_received + limit
        if due > now:
            self._keep_alive_due = self._broker.deadlines.at(
                due, lambda later: self._check_keep_alive(later, limit)
            )
            return
        self._keep_alive_due = None
        # [MQTT-3.1.2-22]
        self.disconnect(ReasonCode.KEEP_ALIVE_TIMEOUT.value, f"nothing heard for {limit:g} s")

    # PUBLISH and its acknowledgements (3.3 - 3.7)

    def _publish_received(self, publish: Publish) -> None:
        self.metrics.publishes_received += 1
        session = self.session
        if session is None:
            return
        if publish.topic_alias:
            self._aliases.resolve(publish)
        if publish.subscription_identifiers:
            raise ProtocolError(0x82, "PUBLISH of a client has a Subscription Identifier", "MQTT-3.3.4-6")
        self._check_capabilities(publish)
        if publish.qos == 2:
            self._exactly_once(session, publish)
            return
        if publish.qos == 1:
            session.incoming.check_quota()
        reason_code = self._refusal(publish, session)
        if reason_code == SUCCESS and not self._broker.router.publish(publish, session.outgoing):
            reason_code = 0x10
        if publish.qos == 1:
            self._acknowledge(PUBACK, publish.packet_id, reason_code)

    def _exactly_once(self, session: Session, publish: Publish) -> None:
        """QoS 2: publish it the first time it comes, acknowledge it every time [MQTT-4.3.3-10]."""
        packet_id = publish.packet_id
        incoming = session.incoming
        reason_code = SUCCESS
        if incoming.is_new(packet_id):
            reason_code = self._refusal(publish, session)
            if reason_code == SUCCESS and not self._broker.router.publish(publish, session.outgoing):
                reason_code = 0x10
            if reason_code >= 0x80 and self.version == MQTT_5:
                incoming.refused(packet_id)
            else:
                incoming.received(packet_id)
        self._acknowledge(PUBREC, packet_id, reason_code)

    def _check_capabilities(self, publish: Publish) -> None:
        settings = self._broker.settings
        if publish.qos > settings.maximum_qos:
            raise ProtocolError(0x9B, f"PUBLISH with QoS {publish.qos}", "MQTT-3.2.2-11")
        if publish.retain and not settings.retain_available:
            raise ProtocolError(0x9A, "PUBLISH with RETAIN", "MQTT-3.2.2-14")

    def _refusal(self, publish: Publish, session: Session) -> int:
        """The Reason Code for a message that is not accepted; 0 for one that is."""
        reason_code = SUCCESS
        topic_name = publish.topic_name
        limit = self._broker.settings.maximum_topic_levels
        if len(topic_name) >= limit and topic_name.count("/") >= limit:
            reason_code = ReasonCode.TOPIC_NAME_INVALID.value
        elif topic_name.startswith("$SYS/") or (
            self._authority is not None and not self._may_publish(self._authority, publish)
        ):
            reason_code = ReasonCode.NOT_AUTHORIZED.value
        elif publish.qos == 1 and publish.packet_id in session.incoming.unreleased and self.version == MQTT_5:
            reason_code = ReasonCode.PACKET_IDENTIFIER_IN_USE.value
        elif publish.retain and not self._broker.router.has_room_to_retain(publish):
            reason_code = ReasonCode.QUOTA_EXCEEDED.value
        if reason_code:
            self._broker.observer.publish_refused(self, topic_name, reason_code)
        return reason_code

    def _may_publish(self, authority: Authority, publish: Publish) -> bool:
        key = (publish.topic_name, publish.qos, publish.retain)
        allowed = self._permissions.get(key)
        if allowed is None:
            if len(self._permissions) >= PERMISSIONS_LIMIT:
                self._permissions.clear()
            allowed = self._permissions[key] = authority.may_publish(*key)
        return allowed

    def _acknowledge(self, packet_type: int, packet_id: int, reason_code: int) -> None:
        """Send PUBACK, PUBREC or PUBCOMP; before MQTT 5.0 none can say no (3.1.1: [MQTT-3.3.5-2])."""
        self.send(acknowledge(packet_type, packet_id, reason_code, self.version))
        self.metrics.messages_sent += 1

    def _acknowledgement_received(self) -> None:
        decoder = self.decoder
        data = decoder.data
        packet_type = data[decoder.start] >> 4
        packet_id, reason_code = read_acknowledgement(
            packet_type, data, decoder.body, decoder.end, self.version
        )
        if self.session is not None:
            self.session.outgoing.acknowledged(packet_id, packet_type, reason_code)

    def _pubrel_received(self) -> None:
        decoder = self.decoder
        packet_id, _ = read_acknowledgement(PUBREL, decoder.data, decoder.body, decoder.end, self.version)
        known = self.session is not None and self.session.incoming.release(packet_id)
        self._acknowledge(PUBCOMP, packet_id, SUCCESS if known else 0x92)  # [MQTT-4.3.3-11]

    # SUBSCRIBE and UNSUBSCRIBE (3.8 - 3.11)

    def _subscribe_received(self) -> None:
        packet = self._packet()
        session = self.session
        if session is None or not isinstance(packet, Subscribe):
            return
        identifier = 0
        if packet.properties is not None and packet.properties.subscription_identifiers:
            identifier = packet.properties.subscription_identifiers[0]
        to_replay: list[Subscription] = []
        reason_codes = [
            self._subscribe(session, options, identifier, to_replay) for options in packet.subscriptions
        ]
        self._answer(SubAck(packet.packet_id, reason_codes))
        for subscription in to_replay:
            self._replay(session, subscription)
        if to_replay:
            session.outgoing.pump()

    def _subscribe(
        self, session: Session, options: SubscriptionOptions, identifier: int, to_replay: list[Subscription]
    ) -> int:
        """One Topic Filter of a SUBSCRIBE: its Reason Code. Retained messages are for after the SUBACK."""
        refusal = self._subscription_refusal(session, options)
        if refusal:
            self._broker.observer.subscribed(self, options.topic_filter, refusal)
            return refusal
        qos = min(options.qos, self._broker.settings.maximum_qos)
        granted = SubscriptionOptions(
            options.topic_filter, qos, options.no_local, options.retain_as_published, options.retain_handling
        )
        subscription = Subscription(granted, identifier)
        if self._broker.router.subscribe(session, subscription):
            to_replay.append(subscription)
        self._broker.observer.subscribed(self, options.topic_filter, qos)
        return qos

    def _subscription_refusal(self, session: Session, options: SubscriptionOptions) -> int:
        authority = self._authority
        if options.topic_filter.count("/") >= self._broker.settings.maximum_topic_levels:
            return ReasonCode.TOPIC_FILTER_INVALID.value
        if authority is not None and not authority.may_subscribe(options.topic_filter, options.qos):
            return ReasonCode.NOT_AUTHORIZED.value
        is_new = options.topic_filter not in session.subscriptions
        if is_new and len(session.subscriptions) >= self._broker.settings.maximum_subscriptions:
            return ReasonCode.QUOTA_EXCEEDED.value
        return SUCCESS

    def _replay(self, session: Session, subscription: Subscription) -> None:
        """Queue retained messages; the limits of the queue don't count them, so there is a limit here."""
        router = self._broker.router
        if len(session.outgoing.waiting) > REPLAY_LIMIT + 2 * len(router.retained):
            self._broker.drops.count(session.client_id, QUEUE_FULL)
        else:
            router.replay(session.outgoing, subscription)

    def _unsubscribe_received(self) -> None:
        packet = self._packet()
        session = self.session
        if session is None or not isinstance(packet, Unsubscribe):
            return
        reason_codes: list[int] = []
        for topic_filter in packet.topic_filters:
            reason_code = SUCCESS if self._broker.router.unsubscribe(session, topic_filter) else 0x11
            self._broker.observer.unsubscribed(self, topic_filter, reason_code)
            reason_codes.append(reason_code)
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

    def disconnect(self, reason_code: int, text: str) -> None:
        """Send the client away: DISCONNECT with `reason_code` for MQTT 5.0, a plain close for 3.x."""
        if self.state != CONNECTED:
            return
        if self.version == MQTT_5:
            self.send_packet(self._explain(Disconnect(reason_code), text))
        self._end(f"{text} (0x{reason_code:02X})", send_will=True)

    def taken_over(self, by: str) -> None:
        """The client has connected once more, from `by`."""
        self.disconnect(ReasonCode.SESSION_TAKEN_OVER.value, f"session taken over by {by}")

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
        if self._keep_alive_due is not None:
            self._keep_alive_due.cancel()
            self._keep_alive_due = None
        self.close()
        self._broker.disconnected(self)

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
