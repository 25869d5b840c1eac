"""paho-mqtt against the broker."""

from __future__ import annotations

from tests.interop import contract
from tests.interop.clients import MQTT_3_1, MQTT_3_1_1
from tests.interop.paho_client import PahoClient


class Paho31Tests(contract.ClientTests):
    kind = PahoClient
    version = MQTT_3_1


class Paho311Tests(contract.ClientTests):
    kind = PahoClient
    version = MQTT_3_1_1


class Paho5Tests(contract.Version5Tests):
    kind = PahoClient
