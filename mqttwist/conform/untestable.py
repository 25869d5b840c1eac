"""Statements that cannot be tested from outside the Server, and the reason of each.

What binds clients only needs no reason: it is open until this project has a client.
"""

from __future__ import annotations

from typing import Final

from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5

UNTESTABLE: Final[dict[int, dict[str, str]]] = {
    MQTT_5: {},
    MQTT_3_1_1: {},
}
