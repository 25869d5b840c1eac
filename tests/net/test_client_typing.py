"""What a program is told of types: this file is checked by mypy in strict mode like all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_type

from twisted.internet.defer import Deferred

from mqttwist import MQTTClient, Published, Received
from mqttwist.net.client_subscription import FunctionSubscription, MessageSubscription
from mqttwist.wire.connect import ConnAck
from tests.front.rig import ClientTestCase


async def typed_program(client: MQTTClient) -> list[str]:
    """A bit of everything; each `assert_type` fails in mypy if the type is another one."""
    assert_type(client.ready(), Deferred[ConnAck])
    assert_type(await client.ready(), ConnAck)
    assert_type(client.publish("a", b""), Deferred[Published])
    assert_type((await client.publish("a", b"", qos=1)).packet_id, int)

    async def answer(request: Received) -> None:
        assert_type(await client.respond(request, request.payload), Published)

    called = client.call_for("rpc", answer, qos=1, concurrency=2, on_error="reject")
    assert_type(called, FunctionSubscription)
    assert_type(await called, int)
    assert_type(await called.granted(), int)

    @client.subscription("b", qos=1, no_local=True)
    def length(received: Received) -> int:
        return len(received.payload)

    as_it_was: Callable[[Received], int] = length  # not just any function

    texts: list[str] = []
    async with client.subscribe("c", qos=1, buffer=10) as messages:
        assert_type(messages, MessageSubscription)
        await client.publish("c", b"text", qos=1)
        async for message in messages:
            assert_type(message, Received)
            texts.append(message.text())
            break
    reply = await client.request("rpc", b"ping", timeout=5)
    assert_type(reply, Received)
    assert_type(called.unsubscribe(), Deferred[None])
    assert_type(client.flushed(), Deferred[None])
    assert as_it_was is length
    return [*texts, reply.text()]


class TypedTests(ClientTestCase):
    def test_program(self) -> None:
        """The program that mypy has read runs as well."""
        self.assertEqual(self.broker.run(typed_program(self.client("us"))), ["text", "ping"])
