"""`mqttwist.stores.memory`: the store that keeps things as long as the process lives."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from mqttwist.session.store import Store
from mqttwist.stores.interfaces import IStore
from mqttwist.stores.memory import MemoryStore
from tests.stores import contract


class MemoryStoreTests(contract.StoreContract):
    def setUp(self) -> None:
        self.store = MemoryStore()
        super().setUp()

    def open_store(self) -> Store:
        return self.store

    def test_the_interface(self) -> None:
        """It has all that `IStore` asks for."""
        self.assertTrue(verifyObject(IStore, self.store))
