"""For tests of programs that speak MQTT: a broker in memory, whose time the test moves.

class PumpTests(MQTTTestCase):
    def test_state(self) -> None:
        pump = Pump(self.client("pump-7"))
        self.broker.publish("cmd/pump-7", b"on")
        self.assertEqual(self.broker.payloads("pump/7/state"), [b"running"])
"""

from __future__ import annotations

from mqttwist.testing.broker import MemoryBroker
from mqttwist.testing.case import MQTTTestCase, MQTTTestMixin
from mqttwist.testing.endpoint import MemoryEndpoint
from mqttwist.testing.line import Line
from mqttwist.testing.server import MQTTServer

__all__ = ["Line", "MQTTServer", "MQTTTestCase", "MQTTTestMixin", "MemoryBroker", "MemoryEndpoint"]
