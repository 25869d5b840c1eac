"""A Mosquitto broker as a bridge to ours."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from pathlib import Path
from unittest import skipIf

from tests.interop.broker import PATIENCE, BrokerTestCase
from tests.interop.clients import MQTT_5, Connecting
from tests.interop.mosquitto import Mosquitto, why_missing
from tests.interop.paho_client import PahoClient

NOT_HERE = why_missing("mosquitto", "mosquitto_pub", "mosquitto_sub")
FEW = 15  # messages; Mosquitto 2.0.11 may get stuck with more QoS 2 messages than its 20 in flight

CONFIGURATION = """\
user root
listener {port} 127.0.0.1
allow_anonymous true
connection ours
address 127.0.0.1:{ours}
bridge_protocol_version {version}
remote_clientid the-bridge
cleansession false
restart_timeout 1
topic up/# out 2
topic down/# in 2
"""


def free_port() -> int:
    """A port that is free now; Mosquitto can't be told to choose one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MosquittoBroker:
    """Mosquitto as a process."""

    def __init__(self, configuration: Path) -> None:
        self._process = subprocess.Popen(
            ["mosquitto", "-c", configuration], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@skipIf(NOT_HERE is not None, str(NOT_HERE))
class BridgeTests(BrokerTestCase):
    def connect_bridge(self, version: str) -> Mosquitto:
        """A Mosquitto that is connected to our broker: its clients."""
        port = free_port()
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        configuration = folder / "mosquitto.conf"
        configuration.write_text(CONFIGURATION.format(port=port, ours=self.port, version=version))
        bridge = MosquittoBroker(configuration)
        self.addCleanup(bridge.stop)
        self.broker.wait_for("'the-bridge' subscribed to 'down/#' at QoS 2")
        return Mosquitto(self, self.broker, MQTT_5, port)

    def test_mqtt_3_1_1(self) -> None:
        """A bridge of MQTT 3.1.1 tries a level of its own (0x84), is refused properly, and falls back."""
        self.assert_crossed(self.connect_bridge("mqttv311"))
        self.broker.wait_for("'MQTT' version 132 is not supported (0x84)")
        self.broker.wait_for("MQTT 3.1.1, user None, keep alive 60 s, new session that never expires")

    def test_mqtt_5(self) -> None:
        """A bridge of MQTT 5.0 connects at once."""
        self.assert_crossed(self.connect_bridge("mqttv50"))
        self.assertNotIn("is not supported", self.broker.log)

    def assert_crossed(self, theirs: Mosquitto) -> None:
        """Messages cross the bridge both ways, once each and in order, at QoS 2."""
        ours = Mosquitto(self, self.broker, MQTT_5)
        lines = b"".join(b"line %d\n" % number for number in range(FEW))
        up = ours.start_sub("up", "-q", "2", "-t", "up/#", "-C", str(FEW))
        theirs.pub("-q", "2", "-t", "up/a", "-l", stdin=lines)
        self.assertEqual(up.output(), lines)
        down = PahoClient(Connecting(theirs.port, MQTT_5, "down"))
        self.addCleanup(down.close)
        down.connect()
        down.subscribe("down/#", 2)
        ours.pub("-q", "2", "-t", "down/a", "-l", stdin=lines)
        self.assertEqual(b"".join(message.payload + b"\n" for message in down.next_all(FEW)), lines)
