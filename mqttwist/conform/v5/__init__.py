"""The checks of MQTT 5.0, a module for each section."""

from __future__ import annotations

from mqttwist.conform.registry import Checks
from mqttwist.wire.packet import MQTT_5

CHECKS = Checks(MQTT_5)
statement = CHECKS.statement
