"""gmqtt against the broker; it does not speak MQTT 3.1."""

from __future__ import annotations

from tests.interop import contract
from tests.interop.clients import MQTT_3_1_1
from tests.interop.gmqtt_client import GmqttClient


class Gmqtt311Tests(contract.ClientTests):
    kind = GmqttClient
    version = MQTT_3_1_1


class Gmqtt5Tests(contract.Version5Tests):
    kind = GmqttClient
