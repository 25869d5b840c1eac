"""gmqtt behind the tests' door."""

from __future__ import annotations

import logging
import queue
import ssl
from collections.abc import Sequence
from typing import Any

import gmqtt
from gmqtt.mqtt.handler import MQTTConnectError

from tests.interop.broker import PATIENCE
from tests.interop.clients import (
    CONNECTION_LOST,
    MQTT_3_1_1,
    MQTT_5,
    Client,
    Connected,
    Connecting,
    EventLoop,
    MessageProperties,
    Received,
)

GMQTT_NAMES = {
    "payload_format_indicator": "payload_format_id",
    "message_expiry_interval": "message_expiry_interval",
    "content_type": "content_type",
    "response_topic": "response_topic",
    "correlation_data": "correlation_data",
    "user_properties": "user_property",
}
NEVER_RECONNECT = -2  # 0 still lets gmqtt try once, -1 for ever
BURST = 500  # messages at once: gmqtt fails when all identifiers that Receive Maximum allows are in use

logging.getLogger("gmqtt").setLevel(logging.CRITICAL)  # it warns of each end the tests bring about


def to_gmqtt(properties: MessageProperties | None) -> dict[str, Any]:
    """As keyword arguments of gmqtt's `publish`."""
    if properties is None:
        return {}
    values = {name: getattr(properties, key) for key, name in GMQTT_NAMES.items()}
    return {name: value for name, value in values.items() if value}


def from_gmqtt(properties: dict[str, Any]) -> MessageProperties:
    """From gmqtt's properties, which are lists."""
    values: dict[str, Any] = {
        key: properties[name][0] for key, name in GMQTT_NAMES.items() if properties.get(name)
    }
    if "user_properties" in values:
        values["user_properties"] = tuple(properties["user_property"])
    return MessageProperties(**values)


class GmqttClient(Client):
    versions = (MQTT_3_1_1, MQTT_5)

    def __init__(self, connecting: Connecting) -> None:
        super().__init__(connecting)
        self._loop = EventLoop()
        self._connects: queue.Queue[Connected] = queue.Queue()
        self._acknowledged: queue.Queue[int] = queue.Queue()
        self.gmqtt = self._loop.run(self._make())

    async def _make(self) -> Any:
        """A client of gmqtt's; it wants to be made where the loop runs."""
        connecting = self.connecting
        properties: dict[str, Any] = {}
        if connecting.session_expiry:
            properties["session_expiry_interval"] = connecting.session_expiry
        if connecting.topic_alias_maximum:
            properties["topic_alias_maximum"] = connecting.topic_alias_maximum
        will = connecting.will
        will_message = gmqtt.Message(will.topic, will.payload, will.qos, will.retain) if will else None
        client = gmqtt.Client(
            connecting.client_id, clean_session=connecting.clean, will_message=will_message, **properties
        )
        client.set_config({"reconnect_retries": NEVER_RECONNECT})
        if connecting.username is not None:
            client.set_auth_credentials(connecting.username, connecting.password)
        client.on_connect = self._has_connected
        client.on_message = self._has_received
        client.on_disconnect = self._has_ended
        client.on_subscribe = self._has_subscribed
        client.on_unsubscribe = lambda *_: self._acknowledged.put(0)
        return client

    # What gmqtt calls, in the thread of the loop

    def _has_connected(self, _: Any, session_present: int, reason_code: int, properties: Any) -> None:
        self._connects.put(Connected(reason_code, bool(session_present)))

    def _has_received(self, _: Any, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
        retain = bool(properties["retain"])
        self.messages.put(Received(topic, bytes(payload), qos, retain, from_gmqtt(properties)))
        return 0

    def _has_ended(self, _: Any, packet: bytes, exc: Exception | None = None) -> None:
        is_disconnect = isinstance(packet, bytes) and len(packet) > 0
        self.ends.put(packet[0] if is_disconnect else CONNECTION_LOST)

    def _has_subscribed(self, _: Any, mid: int, reason_codes: tuple[int, ...], properties: Any) -> None:
        self._acknowledged.put(reason_codes[0])

    # What the tests call

    def connect(self) -> Connected:
        connecting = self.connecting
        context: ssl.SSLContext | bool = False
        if connecting.certificate is not None:
            context = ssl.create_default_context(cafile=connecting.certificate)
        try:
            self._loop.run(
                self.gmqtt.connect("127.0.0.1", connecting.port, ssl=context, version=connecting.version)
            )
        except MQTTConnectError as error:
            return Connected(error._code, False)
        return self._connects.get(timeout=PATIENCE)

    def subscribe(self, topic_filter: str, qos: int) -> int:
        self._loop.loop.call_soon_threadsafe(self.gmqtt.subscribe, topic_filter, qos)
        return self._acknowledged.get(timeout=PATIENCE)

    def unsubscribe(self, topic_filter: str) -> None:
        self._loop.loop.call_soon_threadsafe(self.gmqtt.unsubscribe, topic_filter)
        self._acknowledged.get(timeout=PATIENCE)

    def publish_all(
        self,
        topic: str,
        payloads: Sequence[bytes],
        qos: int,
        retain: bool = False,
        properties: MessageProperties | None = None,
    ) -> None:
        async def publish(burst: Sequence[bytes]) -> None:
            for payload in burst:
                self.gmqtt.publish(topic, payload, qos, retain, **to_gmqtt(properties))
            await self.gmqtt._persistent_storage.wait_empty()

        for start in range(0, len(payloads), BURST):
            self._loop.run(publish(payloads[start : start + BURST]))

    def disconnect(self) -> None:
        self._loop.run(self.gmqtt.disconnect())

    def cut(self) -> None:
        self._loop.loop.call_soon_threadsafe(self.gmqtt._connection._transport.abort)
        self.ended()

    def close(self) -> None:
        self._loop.run(self.gmqtt.disconnect())
        self._loop.close()
