"""The broker's log: who came, what they asked for, what was refused or dropped and why, how they left."""

from __future__ import annotations

from time import time

from twisted.logger import Logger, LogLevel

from mqttwist.broker.connection import ServerConnection
from mqttwist.broker.sessions import CONNECTION_CLOSED
from mqttwist.session.connection import Connection
from mqttwist.session.session import NEVER
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import Connect
from mqttwist.wire.control import Auth
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.errors import MQTTError
from mqttwist.wire.packet import AUTH, CONNECT, MQTT_5, PACKET_NAMES, Packet
from mqttwist.wire.publish import Publish

HIDDEN = b"(hidden)"  # in the place of a password
VERSIONS = {0: "?", 3: "3.1", 4: "3.1.1", 5: "5.0"}


class LineLogger(Logger):
    """A logger that makes the line itself, in half the time that an observer of Twisted's takes for it.

    The line is the event's `log_text`, and its `log_format` asks for nothing else: no word of a client is
    ever taken for a format. The facts of the line are keys of the event, as with Twisted's own, and which
    kind of event it is can be told by one more, `template`: the format of the line.
    """

    def emit(self, level: LogLevel, format: str | None = None, **kwargs: object) -> None:
        """Log the line that `format` makes of the other arguments.

        `format` knows what `str.format` knows; raises what that raises. `level` is not checked.
        """
        template = format or ""
        text = template.format_map(kwargs)
        kwargs.update(
            log_logger=self,
            log_level=level,
            log_namespace=self.namespace,
            log_source=self.source,
            log_system=f"{self.namespace}#{level.name}",  # what an observer would put together, but slowly
            log_format="{log_text}",
            log_text=text,
            log_flattened={"log_text!s:": text, "log_text!:": text},  # as an observer would do it, but slowly
            log_time=time(),
            template=template,
        )
        self.observer(kwargs)


broker_log = LineLogger(namespace="mqttwist.broker")
packet_log = LineLogger(namespace="mqttwist.packets")


def _client_id(connection: ServerConnection) -> str:
    return connection.connect.client_id if connection.connect is not None else "?"


def _reason(reason_code: int, said: str = "") -> str:
    """A reason code with its name, unless that has been `said`."""
    name = ReasonCode(reason_code).name.lower().replace("_", " ")
    return f"0x{reason_code:02X}" if name == said else f"0x{reason_code:02X} {name}"


def _expiry(seconds: int) -> str:
    if seconds == 0:
        return "ends with the connection"
    return "never expires" if seconds == NEVER else f"expires after {seconds} s"


class LogObserver:
    """Writes each event of the broker as one line; its facts are keys of the event, for structured logs."""

    def connected(self, connection: ServerConnection, session_present: bool) -> None:
        session, connect = connection.session, connection.connect
        if session is None or connect is None:
            return
        broker_log.emit(  # not `info`, which would copy all of this once more
            LogLevel.info,
            "{client_id!r} connected from {peer}: MQTT {version}, user {username!r}, "
            "keep alive {keep_alive} s, {session} session that {expiry}{will}",
            client_id=session.client_id,
            peer=connection.peer,
            version=VERSIONS[connection.version],
            username=session.username,
            keep_alive=connect.keep_alive,
            session="resumed" if session_present else "new",
            expiry=_expiry(session.expiry_interval),
            will=f", will to {connect.will.topic_name!r}" if connect.will is not None else "",
        )

    def refused(self, connection: ServerConnection, reason_code: int, text: str) -> None:
        connect = connection.connect
        broker_log.warn(
            "{client_id!r} from {peer} refused: {text}{reason} (MQTT {version}, user {username!r})",
            client_id=_client_id(connection),
            peer=connection.peer,
            text=text,
            reason=f", {_reason(reason_code, text)}" if reason_code else "",
            version=VERSIONS[connection.version],
            username=connect.username if connect is not None else None,
        )

    def faulted(self, connection: ServerConnection, error: MQTTError) -> None:
        broker_log.warn(
            "{client_id!r} from {peer} broke the protocol: {error}",
            client_id=_client_id(connection),
            peer=connection.peer,
            error=str(error),
            clause=error.clause,
            reason_code=error.reason_code,
        )

    def subscribed(self, connection: ServerConnection, topic_filter: str, reason_code: int) -> None:
        if reason_code < 0x80:
            broker_log.info(
                "{client_id!r} subscribed to {topic_filter!r} at QoS {qos}",
                client_id=_client_id(connection),
                topic_filter=topic_filter,
                qos=reason_code,
            )
        else:
            broker_log.warn(
                "{client_id!r} must not subscribe to {topic_filter!r}: {reason}",
                client_id=_client_id(connection),
                topic_filter=topic_filter,
                reason=_reason(reason_code),
            )

    def unsubscribed(self, connection: ServerConnection, topic_filter: str, reason_code: int) -> None:
        broker_log.info(
            "{client_id!r} unsubscribed from {topic_filter!r}{note}",
            client_id=_client_id(connection),
            topic_filter=topic_filter,
            note=", which it had not subscribed to" if reason_code else "",
        )

    def publish_refused(self, client_id: str, topic_name: str, reason_code: int, messages: int) -> None:
        broker_log.warn(
            "{messages} messages of {client_id!r} not accepted, the last to {topic_name!r}: {reason}",
            client_id=client_id,
            topic_name=topic_name,
            reason=_reason(reason_code),
            messages=messages,
        )

    def disconnected(self, connection: ServerConnection, cause: str) -> None:
        broker_log.info(
            "{client_id!r} disconnected from {peer}: {cause}",
            client_id=_client_id(connection),
            peer=connection.peer,
            cause=cause,
        )

    def session_ended(self, client_id: str, cause: str) -> None:
        if cause == CONNECTION_CLOSED:  # the lines of the connection have said so
            return
        broker_log.info("Session of {client_id!r} ended: {cause}", client_id=client_id, cause=cause)

    def will_published(self, client_id: str, topic_name: str) -> None:
        broker_log.info(
            "Will of {client_id!r} published to {topic_name!r}", client_id=client_id, topic_name=topic_name
        )

    def dropped(self, client_id: str, reason: str, messages: int) -> None:
        broker_log.warn(
            "{messages} messages for {client_id!r} dropped: {reason}",
            client_id=client_id,
            reason=reason,
            messages=messages,
        )


class LogTrace:
    """Writes every packet, at debug level. Only made when it is asked for, so it costs nothing otherwise."""

    def received(self, connection: Connection, packet: bytes) -> None:
        self._write("<-", connection, packet)

    def sent(self, connection: Connection, packets: bytes) -> None:
        self._write("->", connection, packets)

    def _write(self, direction: str, connection: Connection, data: bytes) -> None:
        try:
            packets = [
                _without_secrets(packet) for packet in decode_stream(data, connection.version or MQTT_5)
            ]
        except MQTTError as error:
            # A broken CONNECT or AUTH may hold a password all the same.
            packet_type = data[0] >> 4
            shown = "" if packet_type in (CONNECT, AUTH) else f", {data[:64].hex(' ')}"
            packets = [f"{PACKET_NAMES[packet_type]} of {len(data)} bytes{shown}: {error}"]
        for packet in packets:
            packet_log.debug(
                "{peer} {direction} {packet}", peer=connection.peer, direction=direction, packet=packet
            )


def _without_secrets(packet: Packet | Publish) -> str:
    """How a packet shows itself, but for what proves who somebody is."""
    if isinstance(packet, Connect) and packet.password is not None:
        packet.password = HIDDEN
    if isinstance(packet, Connect | Auth) and packet.properties.authentication_data is not None:
        packet.properties.authentication_data = HIDDEN
    return repr(packet)
