"""MQTT.js behind the tests' door: a Node process with mqttjs_client.cjs, which is told what to do in JSON."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.interop.broker import PATIENCE
from tests.interop.clients import (
    MQTT_3_1,
    MQTT_3_1_1,
    MQTT_5,
    Client,
    Connected,
    Connecting,
    MessageProperties,
    Received,
)

SCRIPT = Path(__file__).with_name("mqttjs_client.cjs")
JS_NAMES = {
    "payload_format_indicator": "payloadFormatIndicator",
    "message_expiry_interval": "messageExpiryInterval",
    "content_type": "contentType",
    "response_topic": "responseTopic",
    "correlation_data": "correlationData",
    "user_properties": "userProperties",
}


def mqttjs_folder() -> Path | None:
    """The folder of MQTT.js, by MQTTWIST_MQTTJS, the folder that holds node_modules."""
    root = os.environ.get("MQTTWIST_MQTTJS")
    folder = Path(root) / "node_modules" / "mqtt" if root else None
    return folder.resolve() if folder is not None and folder.is_dir() else None


def why_no_mqttjs() -> str | None:
    """Why MQTT.js can't be used here; None if it can."""
    if shutil.which("node") is None:
        return "there is no node on the PATH"
    if mqttjs_folder() is None:
        return "MQTTWIST_MQTTJS names no folder that holds node_modules/mqtt"
    return None


def to_js(properties: MessageProperties) -> dict[str, Any]:
    """As properties of MQTT.js, which takes an object of texts or lists of texts for user properties."""
    values: dict[str, Any] = {name: getattr(properties, key) for key, name in JS_NAMES.items()}
    values["payloadFormatIndicator"] = bool(properties.payload_format_indicator)
    values["correlationData"] = b64encode(properties.correlation_data).decode()
    grouped: dict[str, list[str]] = {}
    for name, value in properties.user_properties:
        grouped.setdefault(name, []).append(value)
    values["userProperties"] = grouped
    return {name: value for name, value in values.items() if value}


def from_js(properties: dict[str, Any]) -> MessageProperties:
    values = {key: properties[name] for key, name in JS_NAMES.items() if name in properties}
    values["payload_format_indicator"] = int(values.get("payload_format_indicator", 0))
    values["correlation_data"] = b64decode(values.get("correlation_data", ""))
    pairs: list[tuple[str, str]] = []
    for name, value in values.get("user_properties", {}).items():
        pairs += [(name, each) for each in (value if isinstance(value, list) else [value])]
    values["user_properties"] = tuple(pairs)
    return MessageProperties(**values)


class MqttJsClient(Client):
    versions = (MQTT_3_1, MQTT_3_1_1, MQTT_5)
    keeps_order_of_user_properties = False

    def __init__(self, connecting: Connecting) -> None:
        super().__init__(connecting)
        self._connects: queue.Queue[Connected] = queue.Queue()
        self._results: queue.Queue[dict[str, Any]] = queue.Queue()
        self._errors: list[str] = []
        self._node = subprocess.Popen(
            ["node", os.fspath(SCRIPT), os.fspath(mqttjs_folder() or "mqtt")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read_events, daemon=True)
        self._reader.start()

    def _read_events(self) -> None:
        assert self._node.stdout is not None
        with self._node.stdout as stdout:
            for line in stdout:
                self._has_happened(json.loads(line))

    def _has_happened(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "message":
            payload = b64decode(event["payload"])
            properties = from_js(event["properties"])
            self.messages.put(Received(event["topic"], payload, event["qos"], event["retain"], properties))
        elif kind == "connack":
            self._connects.put(Connected(event["reasonCode"], bool(event["sessionPresent"])))
        elif kind == "end":
            self.ends.put(event["reasonCode"])
        elif kind == "error":
            self._errors.append(event["text"])
        else:
            self._results.put(event)

    def _ask(self, command: str, **arguments: Any) -> Any:
        """Have the script do something, and wait for its result."""
        assert self._node.stdin is not None
        self._node.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
        self._node.stdin.flush()
        event = self._results.get(timeout=PATIENCE)
        if event["event"] == "failed":
            raise AssertionError(f"MQTT.js: {event['text']}; {self._errors}")
        return event["result"]

    # What the tests call

    def connect(self) -> Connected:
        connecting = self.connecting
        options: dict[str, Any] = {
            "clientId": connecting.client_id,
            "clean": connecting.clean,
            "protocolVersion": connecting.version,
            "protocolId": "MQIsdp" if connecting.version == MQTT_3_1 else "MQTT",
        }
        if connecting.version == MQTT_5:
            options["properties"] = {"sessionExpiryInterval": connecting.session_expiry}
            if connecting.topic_alias_maximum:
                options["properties"]["topicAliasMaximum"] = connecting.topic_alias_maximum
                options["autoAssignTopicAlias"] = True
        if connecting.username is not None:
            options |= {"username": connecting.username, "password": connecting.password}
        if connecting.will is not None:
            will = connecting.will
            payload = b64encode(will.payload).decode()
            options["will"] = {
                "topic": will.topic,
                "payload": payload,
                "qos": will.qos,
                "retain": will.retain,
            }
        if connecting.certificate is not None:
            options["ca"] = connecting.certificate
        scheme = "mqtts" if connecting.certificate is not None else "mqtt"
        self._ask("connect", url=f"{scheme}://127.0.0.1:{connecting.port}", options=options)
        return self._connects.get(timeout=PATIENCE)

    def subscribe(self, topic_filter: str, qos: int) -> int:
        return int(self._ask("subscribe", filter=topic_filter, qos=qos))

    def unsubscribe(self, topic_filter: str) -> None:
        self._ask("unsubscribe", filter=topic_filter)

    def publish_all(
        self,
        topic: str,
        payloads: Sequence[bytes],
        qos: int,
        retain: bool = False,
        properties: MessageProperties | None = None,
    ) -> None:
        options: dict[str, Any] = {"qos": qos, "retain": retain}
        if properties is not None:
            options["properties"] = to_js(properties)
        encoded = [b64encode(payload).decode() for payload in payloads]
        self._ask("publish", topic=topic, payloads=encoded, options=options)

    def disconnect(self) -> None:
        self._ask("disconnect")
        self.ended()

    def cut(self) -> None:
        self._ask("cut")
        self.ended()

    def close(self) -> None:
        assert self._node.stdin is not None
        self._node.stdin.close()
        try:
            self._node.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._node.kill()
            self._node.wait()
        self._reader.join(PATIENCE)
