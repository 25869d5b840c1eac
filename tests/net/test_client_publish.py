"""What becomes of a publish: its Deferred means one thing, and never hangs."""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from mqttwist import (
    NeedsMQTT5,
    NotDelivered,
    NotSupportedByServer,
    Properties,
    PublishRefused,
    QueueFull,
)
from mqttwist.broker.settings import Settings
from mqttwist.client.outgoing import AT_ONCE_LIMIT, AT_ONCE_SIZE
from mqttwist.testing import MemoryBroker
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec
from mqttwist.wire.publish import Publish
from tests.front.rig import DAY, SECOND, ClientTestCase


class ResultTests(ClientTestCase):
    def test_results(self) -> None:
        """QoS 0 fires when it was written, 1 with PUBACK, 2 with PUBCOMP."""
        client, server = self.accepted()
        deferreds = [client.publish("a", b"%d" % qos, qos=qos) for qos in (0, 1, 2)]
        zero, one, two = server.take()
        self.assertEqual(self.successResultOf(deferreds[0]).packet_id, 0)
        self.assertNoResult(deferreds[1])
        properties = Properties(reason_string="nobody", user_properties=(("k", "v"),))
        server.send(PubAck(one.packet_id, 0x10, properties), PubRec(two.packet_id, 0x10))
        result = self.successResultOf(deferreds[1])
        self.assertEqual((result.reason_code, result.packet_id), (0x10, one.packet_id))
        self.assertEqual((result.reason_string, result.user_properties), ("nobody", (("k", "v"),)))
        self.assertFalse(result.duplicate_risk)
        self.assertNoResult(deferreds[2])
        server.take()
        server.send(PubComp(two.packet_id))
        result = self.successResultOf(deferreds[2])
        self.assertEqual((result.reason_code, result.packet_id), (0x10, two.packet_id))
        self.assertEqual(zero.qos, 0)

    def test_at_once(self) -> None:
        """At QoS 0 a small message is done when `publish` returns, and is written at the end of the round."""
        client, server = self.accepted()
        waiting = client.publish("a", b"x", deadline=1.0)
        self.assertEqual(repr(self.successResultOf(waiting)), "<Published reason_code=0x00, packet_id=0>")
        self.assertEqual([publish.payload for publish in server.take()], [b"x"])
        self.assertEqual(client.core.deadlines.next_at, None)

    def test_loop_gives_way(self) -> None:
        """Who publishes in a loop waits now and then for what he has published to be written."""
        client, server = self.accepted()

        done = []

        async def program() -> None:
            for number in range(3 * AT_ONCE_LIMIT):
                await client.publish("a", b"x")
                done.append(number)

        running = Deferred.fromCoroutine(program())
        self.assertEqual(len(done), AT_ONCE_LIMIT)
        self.assertEqual(len(server.take()), 3 * AT_ONCE_LIMIT)
        self.successResultOf(running)

    def test_large_ones_wait(self) -> None:
        """A large message is done when it was written, so that few of them are in memory at a time."""
        client, server = self.accepted()
        waiting = client.publish("a", bytes(AT_ONCE_SIZE + 1))
        self.assertNoResult(waiting)
        self.assertEqual(len(server.take()), 1)
        self.successResultOf(waiting)

    def test_at_once_fails(self) -> None:
        """What the Server does not take fails as well when nothing is waited for."""
        client, server = self.play()
        server.accept(retain_available=0, maximum_packet_size=100)
        self.failureResultOf(client.publish("a", b"x", retain=True), NotSupportedByServer)
        self.failureResultOf(client.publish("a", bytes(200)), NotSupportedByServer)
        self.assertEqual(server.take(), [])

    def test_refused(self) -> None:
        """A Reason Code of 0x80 and above is an exception, with what the Server has said."""
        client, server = self.accepted()
        for qos, kind in ((1, PubAck), (2, PubRec)):
            waiting = client.publish("a", b"x", qos=qos)
            (publish,) = server.take()
            server.send(kind(publish.packet_id, 0x97, Properties(reason_string="full")))
            error = self.failureResultOf(waiting, PublishRefused).value
            self.assertEqual((error.reason_code, error.reason_string), (0x97, "full"))
        self.assertEqual(client.stats.rejected, 2)

    def test_awaitable(self) -> None:
        """What `publish` answers can be awaited, and has callbacks like any Deferred."""
        client = self.client("us")

        async def program() -> int:
            return (await client.publish("a", b"x", qos=1)).reason_code

        self.assertEqual(self.broker.run(program()), 0)
        waiting = client.publish("a", b"x", qos=1).addCallback(lambda published: published.packet_id > 0)
        self.assertTrue(self.broker.run(waiting))

    def test_impossible(self) -> None:
        """What MQTT does not allow, or not before MQTT 5.0, is refused at the call."""
        client = self.client("us", version="3.1.1")
        self.assertRaises(ValueError, client.publish, "a/#", b"")
        self.assertRaises(ValueError, client.publish, "a", b"", qos=3)
        waiting: Deferred[Any]
        try:
            waiting = client.publish("a", b"", properties=Properties(content_type="x"))
        except NeedsMQTT5:
            return
        self.failureResultOf(waiting, NeedsMQTT5)

    def test_limits_of_server(self) -> None:
        """What the Server has said that it does not take fails here, with the property's name."""
        self.broker.close()
        settings = Settings(maximum_qos=1, retain_available=0, maximum_packet_size=1024, sys_interval=0)
        broker = MemoryBroker(settings=settings)
        client = broker.connect("us")
        for arguments, name in (
            ({"qos": 2}, "Maximum QoS"),
            ({"retain": True}, "Retain Available"),
            ({"payload": b"x" * 2000, "qos": 1}, "Maximum Packet Size"),
        ):
            waiting = client.publish(**{"topic_name": "a", "payload": b"", **arguments})  # type: ignore[arg-type]
            broker.settle()
            error = self.failureResultOf(waiting, NotSupportedByServer).value
            self.assertEqual(error.property, name)
        self.assertTrue(client.is_connected)
        broker.close()

    def test_unseen_failure(self) -> None:
        """A failure that nobody has looked at is in the log, as with any Deferred of Twisted."""
        client, _ = self.accepted()
        client.publish("a", b"x", qos=1, deadline=1.0)
        self.broker.advance(2)
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(NotDelivered)), 1)


class OfflineTests(ClientTestCase):
    def test_before_start(self) -> None:
        """What is published before there is a connection goes out, in its order, when there is one."""
        client = self.broker.client("us")
        waiting = [client.publish("a", b"%d" % n, qos=n % 3) for n in range(6)]
        self.broker.advance(3600)
        for deferred in waiting:
            self.assertNoResult(deferred)
        client.startService()
        self.broker.settle()
        for deferred in waiting:
            self.successResultOf(deferred)
        self.assertEqual(sorted(self.broker.payloads("a")), [b"%d" % n for n in range(6)])

    def test_while_away(self) -> None:
        """The same while the Server is away."""
        client = self.client("us", reconnecting=SECOND)
        self.broker.stop(abruptly=True)
        waiting = client.publish("a", b"x", qos=1)
        self.broker.advance(60)
        self.assertNoResult(waiting)
        self.broker.start()
        self.broker.advance(2)
        self.successResultOf(waiting)

    def test_queue_full(self) -> None:
        """The queue is bounded, and says when it is full."""
        client = self.broker.client("us", queue_messages=2)
        waiting = [client.publish("a", b"x", qos=1) for _ in range(3)]
        self.failureResultOf(waiting[2], QueueFull)
        client.startService()
        self.broker.settle()
        self.successResultOf(waiting[1])

    def test_block(self) -> None:
        """With `when_full` "block" a message waits outside of the queue."""
        client = self.broker.client("us", queue_messages=2, when_full="block")
        waiting = [client.publish("a", b"%d" % n, qos=1) for n in range(5)]
        client.startService()
        self.broker.settle()
        for deferred in waiting:
            self.successResultOf(deferred)
        self.assertEqual(self.broker.payloads("a"), [b"0", b"1", b"2", b"3", b"4"])

    def test_deadline_unsent(self) -> None:
        """A message that could not be sent by its deadline is given up: the Server does not have it."""
        client = self.broker.client("us")
        waiting = client.publish("a", b"x", qos=1, deadline=30)
        self.broker.advance(29.5)
        self.assertNoResult(waiting)
        self.broker.advance(0.5)
        self.assertFalse(self.failureResultOf(waiting, NotDelivered).value.maybe)
        client.startService()
        self.broker.settle()
        self.assertEqual(self.broker.messages, [])

    def test_expires(self) -> None:
        """A message that has expired before it could be sent fails then (3.3.2.3.3), not a second later."""
        client = self.broker.client("us")
        properties = Properties(message_expiry_interval=3)
        waiting = client.publish("a", b"x", qos=1, properties=properties, deadline=30)
        self.broker.advance(2.9)
        self.assertNoResult(waiting)
        self.broker.advance(0.1)
        self.assertFalse(self.failureResultOf(waiting, NotDelivered).value.maybe)

    def test_deadline_sent(self) -> None:
        """For one that was sent and not confirmed, the Server may have it."""
        client, server = self.accepted()
        waiting = client.publish("a", b"x", qos=1, deadline=30)
        (publish,) = server.take()
        self.broker.advance(30)
        self.assertTrue(self.failureResultOf(waiting, NotDelivered).value.maybe)
        server.send(PubAck(publish.packet_id))
        self.assertTrue(client.is_connected)

    def test_two_deadlines(self) -> None:
        """Each message has its own deadline, in whatever order they were given."""
        client = self.broker.client("us")
        late = client.publish("a", b"x", qos=1, deadline=30)
        early = client.publish("a", b"y", qos=1, deadline=10)
        self.broker.advance(10)
        self.failureResultOf(early, NotDelivered)
        self.assertNoResult(late)
        self.broker.advance(20)
        self.failureResultOf(late, NotDelivered)

    def test_stopped(self) -> None:
        """When the client stops, what waits has failed; what is published after that fails at once."""
        client = self.broker.client("us")
        client.startService()
        waiting = client.publish("a", b"x", qos=1)
        self.broker.endpoints[-1].refuses = True
        self.broker.advance(5)
        self.successResultOf(client.stopService())
        self.assertFalse(self.failureResultOf(waiting, NotDelivered).value.maybe)
        self.failureResultOf(client.publish("a", b"y"), NotDelivered)


class SessionTests(ClientTestCase):
    def test_goes_on(self) -> None:
        """With the session present only what is in flight is sent again, in its order, with DUP."""
        client, server = self.accepted(session_expiry_interval=DAY)
        waiting = [client.publish("a", b"%d" % n, qos=1) for n in range(3)]
        first = server.take()
        server.send(PubAck(first[0].packet_id))
        server.hang_up()
        later = client.publish("a", b"3", qos=1)
        self.broker.advance(1)
        server = self.servers[-1]
        self.assertFalse(server.accept(session_present=True).clean_start)
        again = server.take()
        found = [(one.payload, one.dup) for one in again]
        self.assertEqual(found, [(b"1", True), (b"2", True), (b"3", False)])
        self.assertEqual([one.packet_id for one in again[:2]], [one.packet_id for one in first[1:]])
        server.send(*(PubAck(one.packet_id) for one in again))
        for deferred in (*waiting, later):
            self.assertFalse(self.successResultOf(deferred).duplicate_risk)

    def test_lost(self) -> None:
        """A session that is lost is told; QoS 1 is sent anew, and QoS 2 fails with `maybe`."""
        lost: list[int] = []
        client, server = self.accepted(session_expiry_interval=DAY)
        client.on_session_lost = lost.append
        one, two = client.publish("a", b"1", qos=1), client.publish("a", b"2", qos=2)
        server.take()
        server.hang_up()
        self.broker.advance(1)
        server = self.servers[-1]
        server.accept(session_present=False)
        (publish,) = server.take()
        self.assertEqual((publish.payload, publish.dup), (b"1", False))
        server.send(PubAck(publish.packet_id))
        self.assertTrue(self.successResultOf(one).duplicate_risk)
        self.assertTrue(self.failureResultOf(two, NotDelivered).value.maybe)
        self.assertEqual((lost, client.stats.sessions_lost), ([2], 1))

    def test_subscriptions_of_lost_session(self) -> None:
        """All that was subscribed to is asked for again, and messages come as before."""
        got: list[bytes] = []
        client = self.client("us", session_expiry_interval=DAY, reconnecting=SECOND)
        for topic_filter in ("a", "b/#", "c/+"):
            client.call_for(topic_filter, lambda received: got.append(received.payload))
        self.broker.restart(keep=False)
        self.broker.advance(2)
        for topic_name in ("a", "b/1", "c/1"):
            self.broker.publish(topic_name, topic_name.encode())
        self.assertEqual(got, [b"a", b"b/1", b"c/1"])

    def test_exactly_once(self) -> None:
        """At QoS 2 each message is published once, wherever the line breaks."""
        for cut_at in range(1, 8):
            with self.subTest(cut_at=cut_at):
                broker = MemoryBroker()
                client = broker.connect("us", session_expiry_interval=DAY, reconnecting=SECOND)
                waiting = client.publish("a", b"x", qos=2)
                for _ in range(cut_at):
                    if broker.clock.calls and broker.clock.calls[0].getTime() <= broker.clock.seconds():
                        call = broker.clock.calls.pop(0)
                        call.called = 1
                        call.func(*call.args, **call.kw)
                broker.cut()
                broker.advance(5)
                self.successResultOf(waiting)
                self.assertEqual(broker.payloads("a"), [b"x"])
                broker.close()


class CancelTests(ClientTestCase):
    def test_unsent(self) -> None:
        """To cancel a publish that was not sent takes it back."""
        client = self.broker.client("us")
        waiting = client.publish("a", b"x", qos=1)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        client.startService()
        self.broker.settle()
        self.assertEqual(self.broker.messages, [])

    def test_sent(self) -> None:
        """One that was sent goes on; nobody is told."""
        client, server = self.accepted()
        waiting = client.publish("a", b"x", qos=2)
        (publish,) = server.take()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        server.send(PubRec(publish.packet_id))
        (pubrel,) = server.take()
        server.send(PubComp(pubrel.packet_id))
        self.assertEqual(client.core.outgoing.unfinished, 0)

    def test_others(self) -> None:
        """Cancelling `ready` and `flushed` harms nobody."""
        client, server = self.play()
        client.publish("a", b"x", qos=1)
        ready, flushed = client.ready(), client.flushed()
        for waiting in (ready, flushed):
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
        server.accept()
        (publish,) = server.take()
        server.send(PubAck(publish.packet_id))
        self.assertTrue(client.is_connected)


class BackPressureTests(ClientTestCase):
    def test_full_transport(self) -> None:
        """While the transport is full nothing is written, and publishes wait; then all goes out in order."""
        client, server = self.accepted(queue_messages=0)
        server.transport.pauseProducing()
        waiting = []
        for n in range(100):
            waiting.append(client.publish("a", b"%06d" % n + b"x" * 10_000))
            self.broker.settle()
        pending = [one for one in waiting if not one.called]
        self.assertGreater(len(pending), 50)
        server.transport.resumeProducing()
        payloads = [one.payload[:6] for one in server.take() if isinstance(one, Publish)]
        self.assertEqual(payloads, [b"%06d" % n for n in range(100)])
        for deferred in waiting:
            self.successResultOf(deferred)

    def test_receive_maximum(self) -> None:
        """Never are more under way than the Server's Receive Maximum [MQTT-3.3.4-7]."""
        client, server = self.play()
        server.accept(receive_maximum=2)
        waiting = [client.publish("a", b"%d" % n, qos=1) for n in range(5)]
        total = 0
        while total < 5:
            packets = server.take()
            self.assertLessEqual(len(packets), 2)
            total += len(packets)
            server.send(*(PubAck(one.packet_id) for one in packets))
        for deferred in waiting:
            self.successResultOf(deferred)

    def test_aliases(self) -> None:
        """Topic Aliases are used by themselves, as many as the Server takes."""
        client, server = self.play()
        server.accept(topic_alias_maximum=1)
        for _ in range(3):
            client.publish("a/long/topic/name", b"x")
        packets = server.take()
        self.assertEqual([one.topic_alias for one in packets], [1, 1, 1])
        self.assertEqual([one.topic_name for one in packets], ["a/long/topic/name", "", ""])
