"""`mqttwist.stores.sqlite.migrations`: a file of an older mqttwist is opened, and keeps everything."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

from mqttwist.__main__ import main
from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.schema import BATCH, QUEUE, TABLES, Frame, Row, checksum
from mqttwist.stores.sqlite.sql import Meta, write_meta
from mqttwist.stores.sqlite.store import SQLiteStore
from mqttwist.wire.packet import PUBREC
from tests.stores.sqlite.support import NOW, puts, queued, rows_of
from tests.stores.sqlite.test_reader import ReaderCase

VERSION_1 = (
    "CREATE TABLE meta (one INTEGER PRIMARY KEY, schema_version, last_frame, last_at, clean, crc)",
    "CREATE TABLE session (sid INTEGER PRIMARY KEY, client_id, username, identity, version, expiry_interval,"
    " gone_at, crc)",
    "CREATE TABLE subscription (sid, topic_filter, options, identifier, crc,"
    " PRIMARY KEY (sid, topic_filter)) WITHOUT ROWID",
    "CREATE TABLE message (mid INTEGER PRIMARY KEY, topic_name, qos, retain, message_expiry_interval,"
    " expires_at, properties, payload, crc)",
    "CREATE TABLE queue (sid, position, mid, qos, packet_id, state, granted, identifiers, share, kept, size,"
    " crc, PRIMARY KEY (sid, position)) WITHOUT ROWID",
    "CREATE TABLE received (sid, packet_id, crc, PRIMARY KEY (sid, packet_id)) WITHOUT ROWID",
    "CREATE TABLE retained (topic_name, qos, message_expiry_interval, expires_at, properties, payload,"
    " publisher, number, crc, PRIMARY KEY (topic_name))",
    "CREATE TABLE will (sid INTEGER PRIMARY KEY, topic_name, qos, retain, delay, message_expiry_interval,"
    " properties, payload, crc)",
)
"""What made the tables of version 1, as they stand in such a file."""

QUEUE_1: list[Row] = [
    (1, 2, 1, 1, 0, 0, 1, "", "", "", 100),
    (1, 4, 2, 2, 7, 1, 6, "3,17", "$share/a/b", "", 2**33),
    (1, 5, 0, 2, 8, 2, 2, "", "", "", 0),
    (2, 3, 2, 1, 0, 0, 1, "", "", "", 100),
    (2, 6, 0, 1, 0, 0, 5, "", "", "7 k/000001", 0),
]
"""Waiting, sent, released; the same body for another session; the place of a retained message."""

QUEUE_2: list[Row] = [
    (1, 2, 100, 1, 1, None, None, None, 1),
    (1, 4, 2**33, 2, 2, None, 7, 1, 6, "3,17", "$share/a/b"),
    (1, 5, 0, 2, None, None, 8, 2, 2),
    (2, 3, 100, 1, 2, None, None, None, 1),
    (2, 6, 0, 1, None, None, None, None, 5, None, None, "7 k/000001"),
]


class FromVersion2Tests(ReaderCase):
    def test_everything_is_kept(self) -> None:
        """What waits stays in rows of its own, and batches stand beside it from then on."""
        rows = rows_of(9) | {"batch": [], "spent": []}
        rows["queue"].sort()
        self.make(puts(rows))
        connection = sqlite3.connect(self.path)
        for table in ("batch", "spent"):
            connection.execute(f"DROP TABLE {table}")
        write_meta(connection, Meta(schema_version=2, last_frame=41, last_at=NOW))
        connection.commit()
        connection.close()
        file = self.open()
        self.assertEqual(self.notices, [f"{self.path}: brought from schema version 2 to 3"])
        self.assertEqual((self.content(file), file.last_frame), (rows, 41))
        file.close()
        database = Database(self.path, "off")
        batch = rows_of(1)["batch"]
        database.commit([Frame(42, NOW, [(TABLES.index(BATCH), batch, [])])])
        database.close(True)
        self.assertEqual(self.content(self.open()), rows | {"batch": batch})
        self.assertEqual(len(self.notices), 1)


class FromVersion1Tests(ReaderCase):
    def setUp(self) -> None:
        super().setUp()
        self.written = rows_of(2) | {"batch": [], "spent": []}
        self.written["queue"] = QUEUE_1
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in VERSION_1:
            connection.execute(statement)
        for name, rows in {"meta": [(1, 1, 41, NOW, 1)], **self.written}.items():
            for row in rows:
                marks = ", ".join("?" * (len(row) + 1))
                connection.execute(f"INSERT INTO {name} VALUES ({marks})", (*row, checksum(row)))
        connection.commit()
        connection.close()

    def test_everything_is_kept(self) -> None:
        """The rows of the queue are others, which say the same; all else is as it was. It is done once."""
        for _ in range(2):
            file = self.open()
            self.assertEqual(self.content(file), self.written | {"queue": QUEUE_2})
            self.assertEqual((file.last_frame, file.alive_at is not None), (41, True))
            self.assertEqual(list(file.copies()), [(2, 2)])
            bodies = [body for _, body in file.backlog(1, 0, 10)]
            self.assertEqual(bodies, [*self.written["message"], None])
            file.close()
        self.assertEqual(self.notices, [f"{self.path}: brought from schema version 1 to 3"])
        output = io.StringIO()
        self.assertEqual(main(["store", "check", self.path], output, output), 0, output.getvalue())

    def test_going_on(self) -> None:
        """What is written next stands beside what was there."""
        self.open().close()
        database = Database(self.path, "off")
        database.commit([Frame(42, NOW, [(TABLES.index(QUEUE), [queued(9, 1)], [(1, 2), (1, 5)])])])
        database.close(True)
        file = self.open()
        self.assertEqual([row[1] for row, _ in file.backlog(1, 0, 10)], [4, 9])

    def test_deliveries(self) -> None:
        """A broker finds each delivery as the older one has left it."""
        store = SQLiteStore(self.path, wall_clock=lambda: NOW)
        store.open(self.notices.append)
        self.addCleanup(store.close)
        list(store.retained())
        found = [store.delivery(*row) for row in store.file.backlog(1, 0, 9)]
        waiting, sent, released = (one for one in found if one is not None)
        assert waiting.message is not None and sent.message is not None
        self.assertEqual((waiting.mid, waiting.qos, waiting.awaiting, waiting.packet_id), (1, 1, 0, 0))
        self.assertEqual((waiting.message.topic_name, waiting.message.mid), ("räume/1", 1))
        grant = sent.grant
        self.assertEqual(
            (sent.packet_id, sent.awaiting, sent.size, grant.qos, grant.identifiers, grant.share),
            (7, PUBREC, 2**33, 2, (3, 17), "$share/a/b"),
        )
        self.assertTrue(grant.retain_as_published)
        self.assertEqual((released.packet_id, released.message, released.mid), (8, None, 0))

    def test_damaged_rows(self) -> None:
        """A damaged row is left out, told of and kept beside: it does not get a new checksum."""
        self.spoil("queue", "packet_id", 9, "position = 3")
        file = self.open()
        self.assertEqual(self.content(file)["queue"], [row for row in QUEUE_2 if row[1] != 3])
        self.assertEqual(
            self.notices[1:],
            [
                f"{self.path}: 1 damaged rows of table queue are left out",
                f"{self.path}: brought from schema version 1 to 3",
            ],
        )
        kept = sqlite3.connect(f"{self.path}.damaged-20231114-221320")
        self.assertEqual(kept.execute("SELECT packet_id FROM queue WHERE position = 3").fetchone(), (9,))
        kept.close()

    def test_a_key(self) -> None:
        """A row in a wrong place is left out as well."""
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()
        data = Path(self.path).read_bytes()
        found = b"\x04\x02\x02\x07"  # position 4, body 2, QoS 2, Packet Identifier 7
        self.assertEqual(data.count(found), 1)
        Path(self.path).write_bytes(data.replace(found, b"\x7f" + found[1:]))
        file = self.open()
        self.assertIn("row not in PRIMARY KEY order for queue", self.notices[0])
        self.assertEqual(self.content(file)["queue"], [row for row in QUEUE_2 if row[1] != 4])
