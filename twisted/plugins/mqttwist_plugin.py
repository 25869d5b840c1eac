"""Teach twistd and twist the command ``mqtt``."""

from __future__ import annotations

from twisted.application.service import ServiceMaker

broker = ServiceMaker("MQTT broker", "mqttwist.tap", "an MQTT 5.0, 3.1.1 and 3.1 broker", "mqtt")
