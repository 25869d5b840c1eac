"""Request and response (4.10) as programs use it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError

from mqttwist import NoResponse, NotDelivered, Properties, QueueFull, Received, SubscribeRefused
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck
from tests.front.rig import ClientTestCase, PlayedServer


class BrokerTests(ClientTestCase):
    def test_answer(self) -> None:
        """A request is answered by whoever has subscribed to its topic."""
        answering, asking = self.client("answering"), self.client("asking")

        async def add(request: Received) -> None:
            await answering.respond(request, b"%d" % sum(request.json()))

        answering.call_for("rpc/add", add)
        self.broker.settle()
        answers = [asking.request("rpc/add", b"[%d, 1]" % n, timeout=5) for n in range(10)]
        self.broker.settle()
        self.assertEqual([self.successResultOf(one).json() for one in answers], list(range(1, 11)))

    def test_nobody(self) -> None:
        """Without an answer in time it fails, and an answer that comes late does no harm."""
        client = self.client("us")
        asked: list[Received] = []
        client.call_for("rpc", asked.append)
        self.broker.settle()
        waiting = client.request("rpc", b"", timeout=5)
        self.broker.advance(4.9)
        self.assertNoResult(waiting)
        self.broker.advance(0.1)
        self.failureResultOf(waiting, NoResponse)
        self.broker.run(client.respond(asked[0], b"late"))
        self.assertEqual(client.stats.unclaimed, 0)

    def test_no_response_topic(self) -> None:
        """A message that wants no answer gets none."""
        client = self.client("us")
        got: list[Received] = []
        client.call_for("a", got.append)
        self.broker.publish("a", b"x")
        self.assertRaises(ValueError, client.respond, got[0], b"")

    def test_properties(self) -> None:
        """The properties that are given go along, and stay as they are."""
        client = self.client("us")
        got: list[Received] = []
        client.call_for("rpc", got.append)
        self.broker.settle()
        given = Properties(content_type="text/plain")
        waiting = client.request("rpc", b"", timeout=5, properties=given)
        self.broker.settle()
        self.assertEqual(got[0].properties.content_type, "text/plain")
        self.assertEqual(given, Properties(content_type="text/plain"))
        client.respond(got[0], b"", properties=given)
        self.broker.run(waiting)
        self.assertEqual(given, Properties(content_type="text/plain"))


class ServerTests(ClientTestCase):
    def asked(self, server: PlayedServer, *, granted: int = 1) -> Publish:
        """The request that has come, after the subscription for its answer."""
        subscribe, publish = server.take()
        server.send(SubAck(subscribe.packet_id, [granted]))
        found: Publish = publish
        return found

    def test_response_information(self) -> None:
        """Answers go where the Server says that they may (3.2.2.3.15)."""
        for given, prefix in (("ours/here", "ours/here/"), ("ours/", "ours/"), (None, "response/")):
            client, server = self.play(properties=Properties(request_response_information=1))
            self.assertEqual(
                server.accept(response_information=given).properties.request_response_information, 1
            )
            client.request("rpc", b"", timeout=5).addErrback(lambda failure: None)
            topic = self.asked(server).properties.response_topic
            self.assertTrue(topic is not None and topic.startswith(prefix), topic)

    def test_subscription_refused(self) -> None:
        """If no answer can come, the request fails at once."""
        client, server = self.accepted()
        waiting = client.request("rpc", b"", timeout=5)
        self.asked(server, granted=0x87)
        self.failureResultOf(waiting, SubscribeRefused)

    def test_cancel(self) -> None:
        """A request that is cancelled waits no more; one that was not sent is taken back."""
        client, _ = self.accepted()
        waiting = client.request("rpc", b"", timeout=5)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        offline = self.broker.client("other")
        waiting = offline.request("rpc", b"", timeout=5)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(offline.core.outgoing.unfinished, 0)
        self.broker.advance(10)

    def test_not_sent(self) -> None:
        """A request that could not be sent in time says so."""
        client = self.broker.client("us")
        waiting = client.request("rpc", b"", timeout=5)
        self.broker.advance(5)
        self.failureResultOf(waiting, NotDelivered)

    def test_impossible(self) -> None:
        """One that can't be made leaves nothing behind."""
        client = self.broker.client("us", queue_messages=1)
        client.publish("a", b"x", qos=1).addErrback(lambda failure: None)
        self.failureResultOf(client.request("rpc", b"", timeout=5), QueueFull)
        self.assertRaises(ValueError, client.request, "rpc/#", b"", timeout=5)
        self.broker.advance(10)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_stop_offline(self) -> None:
        """A client that was never connected stops at once, even if it was to ask something."""
        endpoint = self.broker.endpoint()
        endpoint.refuses = True
        client = self.client("us", where=endpoint)
        waiting = client.request("rpc", b"", timeout=50)
        self.successResultOf(client.stopService())
        self.failureResultOf(waiting, NotDelivered)

    def test_stop(self) -> None:
        """A client that stops answers nobody."""
        client, server = self.accepted()
        waiting: Any = client.request("rpc", b"", timeout=50, qos=0)
        self.asked(server)
        client.stopService()
        self.broker.advance(10)
        self.failureResultOf(waiting, NotDelivered)
