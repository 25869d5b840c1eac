"""paho-mqtt behind the tests' door."""

from __future__ import annotations

import queue
import socket
from collections.abc import Sequence
from typing import Any

from paho.mqtt.client import Client as Paho
from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.interop.broker import PATIENCE
from tests.interop.clients import (
    CONNECTION_LOST,
    MQTT_3_1,
    MQTT_3_1_1,
    MQTT_5,
    Client,
    Connected,
    Connecting,
    MessageProperties,
    Received,
)

PAHO_NAMES = {
    "payload_format_indicator": "PayloadFormatIndicator",
    "message_expiry_interval": "MessageExpiryInterval",
    "content_type": "ContentType",
    "response_topic": "ResponseTopic",
    "correlation_data": "CorrelationData",
    "user_properties": "UserProperty",
}
# paho tells the return codes of 3.x as Reason Codes.
RETURN_CODES = {0: 0, 0x84: 1, 0x85: 2, 0x88: 3, 0x86: 4, 0x87: 5}


def to_paho(properties: MessageProperties | None) -> Properties | None:
    """As properties of a PUBLISH of paho's."""
    if properties is None:
        return None
    result = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, paho_name in PAHO_NAMES.items():
        value = getattr(properties, name)
        if value:
            setattr(result, paho_name, list(value) if name == "user_properties" else value)
    return result


def from_paho(properties: Properties | None) -> MessageProperties:
    """From the properties of a PUBLISH that paho received; None before MQTT 5.0."""
    found = {name: getattr(properties, paho_name, None) for name, paho_name in PAHO_NAMES.items()}
    values: dict[str, Any] = {name: value for name, value in found.items() if value}
    if "user_properties" in values:
        values["user_properties"] = tuple(values["user_properties"])
    return MessageProperties(**values)


class PahoClient(Client):
    versions = (MQTT_3_1, MQTT_3_1_1, MQTT_5)

    def __init__(self, connecting: Connecting) -> None:
        super().__init__(connecting)
        self._connects: queue.Queue[Connected] = queue.Queue()
        self.acknowledged: queue.Queue[int] = queue.Queue()
        self.paho = self._make()
        self.paho.on_connect = self._has_connected
        self.paho.on_disconnect = self._has_ended
        self.paho.on_message = self._has_received
        self.paho.on_subscribe = self._has_subscribed
        self.paho.on_unsubscribe = lambda *_: self.acknowledged.put(0)

    def _make(self) -> Paho:
        connecting = self.connecting
        paho = Paho(
            CallbackAPIVersion.VERSION2,
            connecting.client_id,
            clean_session=None if connecting.version == MQTT_5 else connecting.clean,
            protocol=MQTTProtocolVersion(connecting.version),
            reconnect_on_failure=False,
        )
        if connecting.username is not None:
            paho.username_pw_set(connecting.username, connecting.password)
        if connecting.certificate is not None:
            paho.tls_set(connecting.certificate)
        if connecting.will is not None:
            will = connecting.will
            paho.will_set(will.topic, will.payload, will.qos, will.retain)
        paho.max_inflight_messages_set(1000)
        return paho

    # What paho calls, in its thread

    def _has_connected(
        self, _: Paho, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        reason_code = reason.value if self.connecting.version == MQTT_5 else RETURN_CODES[reason.value]
        self._connects.put(Connected(reason_code, flags.session_present))

    def _has_ended(
        self,
        _: Paho,
        userdata: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self.ends.put(reason.value if flags.is_disconnect_packet_from_server else CONNECTION_LOST)

    def _has_received(self, _: Paho, userdata: Any, message: MQTTMessage) -> None:
        self.messages.put(
            Received(
                message.topic,
                bytes(message.payload),
                message.qos,
                message.retain,
                from_paho(message.properties),
            )
        )

    def _has_subscribed(
        self, _: Paho, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        self.acknowledged.put(reasons[0].value)

    # What the tests call

    def connect(self) -> Connected:
        connecting = self.connecting
        if connecting.version == MQTT_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = connecting.session_expiry
            self.paho.connect(
                "127.0.0.1", connecting.port, clean_start=connecting.clean, properties=properties
            )
        else:
            self.paho.connect("127.0.0.1", connecting.port)
        self.paho.loop_start()
        return self._connects.get(timeout=PATIENCE)

    def subscribe(self, topic_filter: str, qos: int) -> int:
        self.paho.subscribe(topic_filter, qos)
        return self.acknowledged.get(timeout=PATIENCE)

    def unsubscribe(self, topic_filter: str) -> None:
        self.paho.unsubscribe(topic_filter)
        self.acknowledged.get(timeout=PATIENCE)

    def publish_all(
        self,
        topic: str,
        payloads: Sequence[bytes],
        qos: int,
        retain: bool = False,
        properties: MessageProperties | None = None,
    ) -> None:
        paho_properties = to_paho(properties)
        for info in [self.paho.publish(topic, payload, qos, retain, paho_properties) for payload in payloads]:
            info.wait_for_publish(PATIENCE)
            if not info.is_published():
                raise AssertionError(f"message {info.mid} is not acknowledged")

    def disconnect(self) -> None:
        self.paho.disconnect()
        self.ended()

    def cut(self) -> None:
        connection = self.paho.socket()
        if isinstance(connection, socket.socket):
            connection.shutdown(socket.SHUT_RDWR)
        self.ended()

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()
