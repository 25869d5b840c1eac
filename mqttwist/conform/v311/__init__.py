"""The checks of MQTT 3.1.1, a module for each section."""

from __future__ import annotations

from mqttwist.conform.registry import Checks
from mqttwist.wire.packet import MQTT_3_1_1

CHECKS = Checks(MQTT_3_1_1)
statement = CHECKS.statement
