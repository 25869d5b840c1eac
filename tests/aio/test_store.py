"""The client on asyncio with a store: what was published is there in the next process."""

from __future__ import annotations

import asyncio
import os
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.aio.client import Client
from mqttwist.client.errors import NotDelivered
from mqttwist.front.store import FileStore
from mqttwist.stores.sqlite.lock import StoreError

NOWHERE = "unix:/nowhere/to/be/found"


class StoreTests(SynchronousTestCase):
    def client(self, path: str) -> Client:
        return Client(
            NOWHERE, client_id="us", session_expiry_interval=3600, store=FileStore(path, sync="off")
        )

    def test_it_is_kept(self) -> None:
        """A message that was published without a connection waits in the file for the next client."""
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "client.db")

        async def publish() -> None:
            client = self.client(path)
            async with client:
                waiting = client.publish("t", b"1", qos=1)
                await client.stored()
            with self.assertRaises(NotDelivered):
                await waiting

        async def restored() -> int:
            client = self.client(path)
            async with client:
                return client.stats.restored

        asyncio.run(publish())
        self.assertEqual(asyncio.run(restored()), 1)

    def test_no_store(self) -> None:
        """A client whose store can't be had has not started, and can be in another loop."""
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "client.db")
        client = self.client(path)

        async def first() -> None:
            async with self.client(path):
                self.assertRaises(StoreError, client.start)

        async def second() -> None:
            async with client:
                await client.stored()

        asyncio.run(first())
        asyncio.run(second())
