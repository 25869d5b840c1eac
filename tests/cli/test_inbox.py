"""Messages of several subscriptions, for `sub` and `rr`."""

from __future__ import annotations

from mqttwist.cli.inbox import Inbox
from mqttwist.client.received import Received
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, SubscriptionOptions
from tests.client.rig import ClientTestCase, Server


class InboxTests(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.failures: list[BaseException] = []
        self.is_taken = True
        self.inbox = Inbox(self.client, self.take, self.failures.append)

    def take(self, received: Received) -> bool:
        self.received.append(received)
        return self.is_taken

    def subscribe_to(self, *topic_filters: str) -> Server:
        for topic_filter in topic_filters:
            self.inbox.subscribe(SubscriptionOptions(topic_filter, 1))
        server = self.connect()
        server.grant()
        return server

    def test_order(self) -> None:
        """What comes in one read for several filters is taken in the order in which it came."""
        server = self.subscribe_to("a", "b")
        server.send(*[Publish("ab"[number % 2], b"%d" % number) for number in range(6)])
        self.assertEqual(self.payloads, [b"0", b"1", b"2", b"3", b"4", b"5"])

    def test_once(self) -> None:
        """A message that two filters match is taken once, and acknowledged."""
        server = self.subscribe_to("a", "+")
        server.send(Publish("a", b"1", 1, packet_id=7))
        self.assertEqual(self.payloads, [b"1"])
        self.assertEqual(server.take(), [PubAck(7)])

    def test_many(self) -> None:
        """However many messages of QoS 0 come at once, none is dropped."""
        server = self.subscribe_to("a")
        server.send(*[Publish("a", b"x")] * 5000)
        self.assertEqual(len(self.received), 5000)

    def test_left(self) -> None:
        """What is not taken is not acknowledged."""
        self.is_taken = False
        server = self.subscribe_to("a")
        server.send(Publish("a", b"1", 1, packet_id=7))
        self.assertEqual(server.take(), [])

    def test_closed(self) -> None:
        """After `close` nothing is taken and nothing acknowledged."""
        server = self.subscribe_to("a")
        self.inbox.close()
        server.send(Publish("a", b"1", 1, packet_id=7))
        self.assertEqual((self.payloads, server.take()), ([], []))

    def test_failure(self) -> None:
        """What `take` raises ends it; the message is not acknowledged."""
        error = BrokenPipeError()

        def take(received: Received) -> bool:
            self.received.append(received)
            raise error

        self.inbox = Inbox(self.client, take, self.failures.append)
        server = self.subscribe_to("a")
        server.send(Publish("a", b"1", 1, packet_id=7), Publish("a", b"2", 1, packet_id=8))
        self.assertEqual((self.payloads, self.failures, server.take()), ([b"1"], [error], []))

    def test_answers(self) -> None:
        """`answered` fires when all filters are answered, and refusals are kept."""
        self.inbox.subscribe(SubscriptionOptions("a", 1))
        self.inbox.subscribe(SubscriptionOptions("b", 1))
        server = self.connect()
        first, second = server.take()
        server.send(SubAck(first.packet_id, [1]))
        self.assertNoResult(self.inbox.answered)
        server.send(SubAck(second.packet_id, [0x87]))
        self.successResultOf(self.inbox.answered)
        self.assertEqual((self.inbox.granted, len(self.inbox.refusals)), ([1], 1))

    def test_unsubscribe(self) -> None:
        """A filter that was subscribed to is unsubscribed from; another is unknown."""
        server = self.subscribe_to("a", "b")
        self.assertTrue(self.inbox.unsubscribe("a"))
        self.assertFalse(self.inbox.unsubscribe("c"))
        (unsubscribe,) = server.take()
        self.assertEqual(unsubscribe.topic_filters, ["a"])
