"""Whether a CONNECT is accepted, and what its CONNACK says (3.1.4, 3.2.2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttwist.broker.doors import Authority
from mqttwist.broker.sys_topics import is_protected
from mqttwist.session.session import NEVER
from mqttwist.wire.connect import NO_PROPERTIES, ConnAck, Connect
from mqttwist.wire.decoder import LARGEST_PACKET
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.packet import MQTT_3_1, MQTT_5
from mqttwist.wire.properties import Properties

if TYPE_CHECKING:
    from mqttwist.broker.broker import Broker

Refusal = tuple[int, str]  # a Reason Code and the words for it


class Admission:
    """The rules for new clients, from the broker's settings."""

    __slots__ = ("_broker",)

    _broker: Broker

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    # Before the login

    def refusal(self, connect: Connect) -> Refusal | None:
        """Why a CONNECT that is well formed is refused, whoever it comes from."""
        settings = self._broker.settings
        if connect.properties.authentication_method is not None:
            return (
                ReasonCode.BAD_AUTHENTICATION_METHOD.value,
                f"Authentication Method {connect.properties.authentication_method!r} is not supported",
            )  # [MQTT-4.12.0-1]
        if not connect.client_id and (connect.version == MQTT_3_1 or not self._may_be_nameless(connect)):
            return ReasonCode.CLIENT_IDENTIFIER_NOT_VALID.value, "the Client Identifier is empty"
        if connect.will is not None:
            if connect.will.topic_name.count("/") >= settings.maximum_topic_levels:
                return ReasonCode.TOPIC_NAME_INVALID.value, "the topic of the Will has too many levels"
            if connect.will.qos > settings.maximum_qos:  # [MQTT-3.2.2-12]
                return ReasonCode.QOS_NOT_SUPPORTED.value, f"Will QoS {connect.will.qos}"
            if connect.will.retain and not settings.retain_available:  # [MQTT-3.2.2-13]
                return ReasonCode.RETAIN_NOT_SUPPORTED.value, "Will Retain"
        return self._crowd_refusal(connect)

    def _crowd_refusal(self, connect: Connect) -> Refusal | None:
        """Why there is no place for one more client; one that takes over its own session needs none."""
        sessions = self._broker.sessions
        is_full = 0 < self._broker.settings.maximum_connections <= sessions.connected
        if is_full and not sessions.has_connection(connect.client_id):
            return ReasonCode.SERVER_BUSY.value, f"{sessions.connected} clients are connected already"
        return None

    def _may_be_nameless(self, connect: Connect) -> bool:
        """MQTT 5.0 assigns an id, 3.1.1 to a client with Clean Session only (3.1.1: [MQTT-3.1.3-7])."""
        return connect.version == MQTT_5 or connect.clean_start

    # After the login

    def late_refusal(self, connect: Connect, authority: Authority | None) -> Refusal | None:
        """Why a client is refused that has turned out to be `authority`; others may have come meanwhile."""
        return self._will_refusal(connect, authority) or self._crowd_refusal(connect)

    def _will_refusal(self, connect: Connect, authority: Authority | None) -> Refusal | None:
        will = connect.will
        if will is None:
            return None
        if is_protected(will.topic_name, connect.client_id) or (
            authority is not None and not authority.may_publish(will.topic_name, will.qos, will.retain)
        ):
            return ReasonCode.NOT_AUTHORIZED.value, f"a will to {will.topic_name!r} is not allowed"
        if not self._broker.router.has_room_to_retain(will.message()):
            return ReasonCode.QUOTA_EXCEEDED.value, "the Will can't be retained, too many messages are"
        return None

    def welcome(self, connect: Connect) -> ConnAck:
        """The CONNACK with what this Server can do (3.2.2.3); assigns an id to a client that has none."""
        assigned: str | None = None
        if not connect.client_id:
            connect.client_id = assigned = self._broker.new_client_id()
        if connect.version != MQTT_5:
            return ConnAck(False, 0, NO_PROPERTIES)
        properties = Properties(assigned_client_identifier=assigned)  # [MQTT-3.2.2-16]
        settings = self._broker.settings
        if self.expiry_interval(connect) != (connect.properties.session_expiry_interval or 0):
            properties.session_expiry_interval = self.expiry_interval(connect)
        properties.receive_maximum = settings.receive_maximum
        if settings.maximum_qos < 2:
            properties.maximum_qos = settings.maximum_qos
        if not settings.retain_available:
            properties.retain_available = 0
        if settings.maximum_packet_size < LARGEST_PACKET:
            properties.maximum_packet_size = settings.maximum_packet_size
        properties.topic_alias_maximum = settings.topic_alias_maximum
        limit = settings.maximum_keep_alive
        if limit and not 0 < connect.keep_alive <= limit:
            properties.server_keep_alive = limit  # [MQTT-3.2.2-21]
        return ConnAck(False, 0, properties)

    def expiry_interval(self, connect: Connect) -> int:
        """Session Expiry Interval in seconds; Clean Session 0 of 3.x asks for one that does not expire."""
        if connect.version == MQTT_5:
            wanted = connect.properties.session_expiry_interval or 0
        else:
            wanted = 0 if connect.clean_start else NEVER
        return min(wanted, self._broker.settings.maximum_session_expiry)

    def send_quota(self, connect: Connect) -> int:
        """How many messages may be unacknowledged on their way to the client (4.9)."""
        return min(connect.properties.receive_maximum or 65_535, self._broker.settings.send_maximum)

    def topic_alias_maximum(self, connect: Connect) -> int:
        """How many Topic Aliases are used towards the client [MQTT-3.1.2-26]."""
        return min(connect.properties.topic_alias_maximum or 0, self._broker.settings.topic_alias_maximum)
