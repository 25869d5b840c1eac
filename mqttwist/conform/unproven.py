"""Statements that no check of the broker proves, nor a test of the client, and the reason of each."""

from __future__ import annotations

from typing import Final

from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5

_NO_AUTH: Final = "Binds who sends AUTH: the broker has no enhanced authentication, and sends none."
_NO_WEBSOCKET: Final = "Binds who speaks MQTT over WebSocket: broker and client do not."

# What is left to who implements it, and is not here.
UNSUPPORTED: Final[dict[int, dict[str, str]]] = {
    MQTT_5: {
        "MQTT-3.15.2-2": _NO_AUTH,
        "MQTT-3.15.2-3": _NO_AUTH,
        "MQTT-4.12.0-2": _NO_AUTH,
        "MQTT-6.0.0-1": _NO_WEBSOCKET,
        "MQTT-6.0.0-2": _NO_WEBSOCKET,
        "MQTT-6.0.0-3": _NO_WEBSOCKET,
        "MQTT-6.0.0-4": _NO_WEBSOCKET,
    },
    MQTT_3_1_1: {
        "MQTT-6.0.0-1": _NO_WEBSOCKET,
        "MQTT-6.0.0-2": _NO_WEBSOCKET,
        "MQTT-6.0.0-3": _NO_WEBSOCKET,
        "MQTT-6.0.0-4": _NO_WEBSOCKET,
        "MQTT-7.0.0-1": "Binds who makes connections to other Servers: the broker makes none.",
    },
}

# What cannot be seen from outside the Server.
UNTESTABLE: Final[dict[int, dict[str, str]]] = {
    MQTT_5: {},
    MQTT_3_1_1: {
        "MQTT-4.8.0-2": "No client can bring a transient error about: that depends on the Server.",
    },
}
