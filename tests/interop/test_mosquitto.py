"""mosquitto_pub, mosquitto_sub and mosquitto_rr against the broker."""

from __future__ import annotations

from unittest import skipIf

from tests.interop import mosquitto_contract
from tests.interop.broker import BrokerTestCase
from tests.interop.clients import MQTT_3_1, MQTT_3_1_1, MQTT_5
from tests.interop.mosquitto import Mosquitto, why_missing

NOT_HERE = why_missing("mosquitto_pub", "mosquitto_sub", "mosquitto_rr")


@skipIf(NOT_HERE is not None, str(NOT_HERE))
class Mosquitto31Tests(mosquitto_contract.MosquittoTests):
    version = MQTT_3_1


@skipIf(NOT_HERE is not None, str(NOT_HERE))
class Mosquitto311Tests(mosquitto_contract.MosquittoTests):
    version = MQTT_3_1_1


@skipIf(NOT_HERE is not None, str(NOT_HERE))
class Mosquitto5Tests(mosquitto_contract.MosquittoTests):
    version = MQTT_5

    def test_properties(self) -> None:
        """The properties of a message arrive, user properties in their order."""
        subscriber = self.mosquitto.start_sub(
            "sub", "-q", "1", "-t", "a", "-C", "1", "-F", "%P|%C|%R|%D|%E|%F"
        )
        properties = [
            ["user-property", "b", "1"],
            ["user-property", "a", "2"],
            ["user-property", "b", "0"],
            ["content-type", "text/plain"],
            ["response-topic", "answers"],
            ["correlation-data", "question 1"],
            ["message-expiry-interval", "3600"],
            ["payload-format-indicator", "1"],
        ]
        arguments = [argument for each in properties for argument in ("-D", "publish", *each)]
        self.mosquitto.pub("-q", "1", "-t", "a", "-m", "text", *arguments)
        expected = "b:1 a:2 b:0|text/plain|answers|question 1|3600|1"
        self.assertEqual(subscriber.output().decode().strip(), expected)

    def test_topic_alias(self) -> None:
        """What mosquitto_pub publishes with a Topic Alias arrives under its topic."""
        subscriber = self.mosquitto.start_sub("sub", "-q", "1", "-t", "a/long/topic", "-C", "3", "-v")
        alias = ("-D", "publish", "topic-alias", "1")
        self.mosquitto.pub("-q", "1", "-t", "a/long/topic", "-m", "x", "--repeat", "3", *alias)
        self.assertEqual(subscriber.output(), b"a/long/topic x\n" * 3)

    def test_request_and_response(self) -> None:
        """mosquitto_rr gets the answer to its request, by Response Topic and Correlation Data."""
        asked = self.mosquitto.start_sub("server", "-q", "1", "-t", "questions", "-C", "1", "-F", "%j")
        asking = self.mosquitto.start_rr("asker", "-q", "1", "-t", "questions", "-e", "answers", "-m", "why?")
        (question,) = asked.messages()
        self.assertEqual((question["payload"], question["properties"]["response-topic"]), ("why?", "answers"))
        self.mosquitto.pub("-q", "1", "-t", "answers", "-m", "because")
        self.assertEqual(asking.output(), b"because\n")


@skipIf(NOT_HERE is not None, str(NOT_HERE))
class MosquittoSysTests(BrokerTestCase):
    def test_sys_topics(self) -> None:
        """mosquitto_sub -t '$SYS/#' shows figures of the broker, which nobody may publish."""
        broker = self.start_broker("--port", "0", "--sys-interval", "0.2")
        mosquitto = Mosquitto(self, broker, MQTT_5)
        mosquitto.pub("-q", "1", "-t", "$SYS/broker/version", "-m", "forged", "-r")
        shown = mosquitto.sub(
            "-t", "$SYS/broker/version", "-t", "$SYS/broker/clients/connected", "-C", "2", "-v"
        )
        self.assertIn("$SYS/broker/version mqttwist", shown)
        self.assertIn("$SYS/broker/clients/connected ", shown)
        self.assertNotIn("forged", shown)

    def test_versions_meet(self) -> None:
        """A message of each version reaches a subscriber of each version."""
        subscribers = {
            version: Mosquitto(self, self.broker, version).start_sub(
                f"sub {version}", "-q", "2", "-t", "a", "-C", "3", "-F", "%p"
            )
            for version in (MQTT_3_1, MQTT_3_1_1, MQTT_5)
        }
        for version in subscribers:
            Mosquitto(self, self.broker, version).pub("-q", "2", "-t", "a", "-m", f"from {version}")
        for subscriber in subscribers.values():
            self.assertEqual(subscriber.output(), b"from 3\nfrom 4\nfrom 5\n")
