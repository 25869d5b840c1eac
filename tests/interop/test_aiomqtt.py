"""aiomqtt against the broker: several clients in one asyncio program."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import aiomqtt

from tests.interop.broker import PATIENCE, BrokerTestCase

MESSAGES = 100
VERSIONS = (aiomqtt.ProtocolVersion.V31, aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5)


class AiomqttTests(BrokerTestCase):
    def client(self, identifier: str, version: aiomqtt.ProtocolVersion, **options: Any) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", self.port, identifier=identifier, protocol=version, **options)

    def test_publish_and_subscribe(self) -> None:
        """In every version, messages at each QoS go from a client to another, in order."""
        for version in VERSIONS:
            for qos in (0, 1, 2):
                with self.subTest(version=version, qos=qos):
                    received = asyncio.run(asyncio.wait_for(self._exchange(version, qos), PATIENCE))
                    self.assertEqual(received, [b"%d" % number for number in range(MESSAGES)])

    async def _exchange(self, version: aiomqtt.ProtocolVersion, qos: int) -> list[Any]:
        async with (
            self.client("subscriber", version) as subscriber,
            self.client("publisher", version) as sender,
        ):
            await subscriber.subscribe("topic/#", qos)
            for number in range(MESSAGES):
                await sender.publish("topic/a", b"%d" % number, qos)
            received = []
            async for message in subscriber.messages:
                self.assertEqual((message.topic.value, message.qos), ("topic/a", qos))
                received.append(message.payload)
                if len(received) == MESSAGES:
                    break
            return received

    def test_will_and_retained(self) -> None:
        """A retained Will is published when the client's program fails, and kept."""
        for version in VERSIONS:
            with self.subTest(version=version):
                payload = asyncio.run(asyncio.wait_for(self._break(version), PATIENCE))
                self.assertEqual(payload, version.name.encode())

    async def _break(self, version: aiomqtt.ProtocolVersion) -> Any:
        will = aiomqtt.Will(f"will/{version.name}", version.name.encode(), 1, retain=True)
        async with self.client("watcher", version) as watcher:
            await watcher.subscribe(f"will/{version.name}", 1)
            with suppress(aiomqtt.MqttError):  # it finds its connection gone
                async with self.client("victim", version, will=will) as victim:
                    victim._client._sock_close()
            async for message in watcher.messages:
                return message.payload
