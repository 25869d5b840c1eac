"""`SQLiteStore` behind a broker: what every store must keep, each frame written by the writer's own code."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from zope.interface.verify import verifyObject

from mqttwist.session.journal import Changes
from mqttwist.session.store import Store
from mqttwist.stores.interfaces import IStore
from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.schema import FRAME_LENGTH, pack_frame, unpack_frame
from mqttwist.stores.sqlite.store import SQLiteStore
from tests.stores import contract


class SQLiteStoreTests(contract.StoreContract):
    """Frames are committed as soon as they go off; the wall clock goes with the broker's."""

    def setUp(self) -> None:
        self.folder = Path(mkdtemp())
        self.addCleanup(rmtree, self.folder)
        self.store: SQLiteStore | None = None
        super().setUp()

    def open_store(self) -> Store:
        if self.store is not None:
            self.store.close()
        self.store = store = SQLiteStore(str(self.folder / "store.db"), wall_clock=lambda: 1e9 + self.now)
        self.addCleanup(store.close)
        store.open(self.fail)
        database = Database(store.path, "off")
        database.open()
        self.addCleanup(database.close, True)

        def write(number: int, wall: float, changes: Changes) -> None:
            frame = unpack_frame(pack_frame(number, wall, changes)[FRAME_LENGTH.size :])
            database.commit([frame])
            store.journal.committed(number, self.now)

        store.journal.sink = write
        return store

    def test_the_interface(self) -> None:
        """It has all that `IStore` asks for."""
        self.assertTrue(verifyObject(IStore, self.store))
