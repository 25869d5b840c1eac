"""The Session: what is remembered of a client."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.broker import Broker
from mqttwist.session.grant import Grant
from mqttwist.session.metrics import Drops
from mqttwist.session.session import NEVER, Session, Subscription
from mqttwist.session.waiting import QueueLimits
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.message import Message
from mqttwist.wire.subscribe import SubscriptionOptions
from tests.session.rig import Link


class SessionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.drops = Drops()
        self.session = Session("client", QueueLimits(2, 0, True), self.drops)

    def connect(self) -> None:
        link = Link(Broker(MemoryStore(), Clock().seconds))
        self.session.outgoing.attach(link.connection, 10, 0)
        self.session.outgoing.resume()

    def test_new(self) -> None:
        """A new session has no subscriptions, no messages, no connection, and ends with its first."""
        session = self.session
        self.assertEqual((session.client_id, session.username, session.version), ("client", None, 0))
        self.assertEqual((session.subscriptions, session.expiry_interval), ({}, 0))
        self.assertEqual((session.incoming.unreleased, session.outgoing.in_flight), (set(), {}))
        self.assertEqual(len(session.outgoing.waiting), 0)
        self.assertFalse(session.is_connected)

    def test_connected(self) -> None:
        """A session is connected as long as its outgoing flow has a connection."""
        self.connect()
        self.assertTrue(self.session.is_connected)
        self.session.outgoing.detach()
        self.assertFalse(self.session.is_connected)

    def test_outgoing(self) -> None:
        """Its outgoing flow bears the client's id and keeps to the limits of the queue."""
        outgoing = self.session.outgoing
        self.assertEqual(outgoing.client_id, "client")
        taken = [outgoing.deliver(Message("a", b"x", 1), Grant(1)) for _ in range(3)]
        self.assertEqual(taken, [True, True, False])
        self.assertEqual([client_id for client_id, _, _ in self.drops.take()], ["client"])

    def test_both_directions_are_apart(self) -> None:
        """The same Packet Identifier may be in use in both directions at once (2.2.1)."""
        self.connect()
        self.session.incoming.attach(10)
        self.session.incoming.received(1)
        self.session.outgoing.deliver(Message("a", b"x", 2), Grant(2))
        self.assertEqual(list(self.session.outgoing.in_flight), [1])
        self.assertFalse(self.session.incoming.is_new(1))

    def test_state_outlives_the_connection(self) -> None:
        """Subscriptions, messages in flight and QoS 2 identifiers are there after a reconnection (4.1)."""
        session = self.session
        self.connect()
        session.subscriptions["a"] = Subscription(SubscriptionOptions("a", 1), 7)
        session.outgoing.deliver(Message("a", b"x", 1), Grant(1))
        session.incoming.received(3)
        session.outgoing.detach()
        self.connect()
        self.assertEqual(session.subscriptions["a"].identifier, 7)
        self.assertEqual(list(session.outgoing.in_flight), [1])
        self.assertEqual(session.incoming.unreleased, {3})

    def test_subscription(self) -> None:
        """A subscription has its options, and no identifier where the SUBSCRIBE had none."""
        subscription = Subscription(SubscriptionOptions("a/#", 2, no_local=True))
        self.assertEqual(subscription.options.topic_filter, "a/#")
        self.assertTrue(subscription.options.no_local)
        self.assertEqual(subscription.identifier, 0)

    def test_never(self) -> None:
        """The Session Expiry Interval that means "never" is the largest there is (3.1.2.11.2)."""
        self.assertEqual(NEVER, 2**32 - 1)
