"""paho-mqtt against the broker."""

from __future__ import annotations

from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.interop import contract
from tests.interop.broker import PATIENCE
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

    def paho(self, client_id: str) -> PahoClient:
        client = self.connect(client_id)
        assert isinstance(client, PahoClient)
        return client

    def subscribe(self, client: PahoClient, topic_filter: str, options: SubscribeOptions) -> None:
        """Subscribe with the options of MQTT 5.0, and wait for the SUBACK."""
        client.paho.subscribe(topic_filter, options=options)
        self.assertEqual(client.acknowledged.get(timeout=PATIENCE), options.QoS)

    def test_subscription_options(self) -> None:
        """No Local, Retain As Published and Retain Handling do what they say."""
        client, other = self.paho("client"), self.paho("other")
        other.publish("kept", b"old", 1, retain=True)
        self.subscribe(client, "own", SubscribeOptions(qos=1, noLocal=True))
        self.subscribe(client, "kept", SubscribeOptions(qos=1, retainAsPublished=True, retainHandling=2))
        client.publish("own", b"by myself", 1)
        other.publish("own", b"by the other", 1)
        other.publish("kept", b"new", 1, retain=True)
        received = [(message.payload, message.retain) for message in client.next_all(2)]
        self.assertEqual(received, [(b"by the other", False), (b"new", True)])
