"""MQTT.js against the broker."""

from __future__ import annotations

from unittest import skipIf

from tests.interop import contract
from tests.interop.clients import MQTT_3_1, MQTT_3_1_1
from tests.interop.mqttjs_client import MqttJsClient, why_no_mqttjs

NOT_HERE = why_no_mqttjs()


@skipIf(NOT_HERE is not None, str(NOT_HERE))
class MqttJs31Tests(contract.ClientTests):
    kind = MqttJsClient
    version = MQTT_3_1


@skipIf(NOT_HERE is not None, str(NOT_HERE))
class MqttJs311Tests(contract.ClientTests):
    kind = MqttJsClient
    version = MQTT_3_1_1


@skipIf(NOT_HERE is not None, str(NOT_HERE))
class MqttJs5Tests(contract.Version5Tests):
    kind = MqttJsClient
