"""mqttools against the broker: it speaks MQTT 5.0 only, QoS 0 only, and Topic Aliases both ways."""

from __future__ import annotations

import asyncio
from typing import Any

import mqttools

from tests.interop.broker import PATIENCE, BrokerTestCase


class MqttoolsTests(BrokerTestCase):
    def client(self, client_id: str, **options: Any) -> Any:
        return mqttools.Client("127.0.0.1", self.port, client_id=client_id, connect_delays=[], **options)

    def test_topic_aliases(self) -> None:
        """Messages with Topic Aliases, from the client and to the client, arrive under their topics."""
        topics = [f"a/topic/{number % 5}" for number in range(30)]
        received = asyncio.run(asyncio.wait_for(self._exchange(topics), PATIENCE))
        self.assertEqual(received, [(topic, topic.encode()) for topic in topics])

    async def _exchange(self, topics: list[str]) -> list[tuple[str, bytes]]:
        aliases = sorted(set(topics))[:3]
        async with (
            self.client("subscriber", topic_alias_maximum=2, subscriptions=["a/#"]) as subscriber,
            self.client("publisher", topic_aliases=aliases) as publisher,
        ):
            for topic in topics:
                publisher.publish(mqttools.Message(topic, topic.encode()))
            received = [await subscriber.messages.get() for _ in topics]
            return [(message.topic, message.message) for message in received]

    def test_session(self) -> None:
        """A session is resumed, with what was published while the client was away."""
        payload = asyncio.run(asyncio.wait_for(self._resume(), PATIENCE))
        self.assertEqual(payload, b"while away")

    async def _resume(self) -> Any:
        subscriber = self.client("subscriber", session_expiry_interval=600, subscriptions=["topic"])
        await subscriber.start()
        await subscriber.stop()
        async with self.client("publisher") as publisher:
            publisher.publish(mqttools.Message("topic", b"while away"))
        await subscriber.start(resume_session=True)
        message = await subscriber.messages.get()
        await subscriber.stop()
        return message.message
