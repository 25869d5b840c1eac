"""What several subscriptions of one client get can be put in the order in which it came."""

from __future__ import annotations

from mqttwist.wire.publish import Publish
from tests.client.rig import ClientTestCase


class OrderTests(ClientTestCase):
    def test_numbers(self) -> None:
        """Messages are numbered as they come, over all subscriptions and all QoS."""
        server = self.connect()
        self.subscribed(server, "a")
        self.subscribed(server, "b")
        server.send(
            Publish("a", b"1"),
            Publish("b", b"2", 1, packet_id=1),
            Publish("a", b"3", 2, packet_id=2),
            Publish("b", b"4"),
        )
        self.assertEqual(self.payloads, [b"1", b"3", b"2", b"4"])
        self.received.sort(key=lambda received: received.number)
        self.assertEqual(self.payloads, [b"1", b"2", b"3", b"4"])

    def test_one_message(self) -> None:
        """A message that two subscriptions match has one number."""
        server = self.connect()
        self.subscribed(server, "a")
        self.subscribed(server, "+")
        server.send(Publish("a", b"1"), Publish("a", b"2"))
        numbers = [received.number for received in self.received]
        self.assertEqual((len(numbers), len(set(numbers))), (4, 2))
