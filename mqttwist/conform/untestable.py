"""Statements that cannot be tested from outside the Server, and the reason of each.

What binds clients only needs no reason: it is open until this project has a client.
"""

from __future__ import annotations

from typing import Final

from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5

_NO_AUTH: Final = "The broker supports no Authentication Method, so that it never sends AUTH."
_NO_WEBSOCKET: Final = "The broker does not listen for WebSocket connections yet."

UNTESTABLE: Final[dict[int, dict[str, str]]] = {
    MQTT_5: {
        "MQTT-3.15.2-2": _NO_AUTH,
        "MQTT-3.15.2-3": _NO_AUTH,
        "MQTT-4.12.0-2": _NO_AUTH,
        "MQTT-6.0.0-1": _NO_WEBSOCKET,
        "MQTT-6.0.0-2": _NO_WEBSOCKET,
        "MQTT-6.0.0-4": _NO_WEBSOCKET,
    },
    MQTT_3_1_1: {
        "MQTT-4.8.0-2": "No client can bring a transient error about: that depends on the Server.",
        "MQTT-6.0.0-1": _NO_WEBSOCKET,
        "MQTT-6.0.0-2": _NO_WEBSOCKET,
        "MQTT-6.0.0-4": _NO_WEBSOCKET,
        "MQTT-7.0.0-1": "The broker makes no connections to other Servers.",
    },
}
