"""`mqttwist.stores.sqlite.reader`: what the broker reads."""

from __future__ import annotations

import sqlite3

from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.reader import StoreFile
from mqttwist.stores.sqlite.schema import MESSAGE, SESSION, SUBSCRIPTION, TABLES, Frame
from tests.stores.sqlite.support import NOW, StoreCase, body, puts, queued, rows_of


class ReaderCase(StoreCase):
    def spoil(self, table: str, column: str, value: object, where: str = "1") -> None:
        """Change a value in the file, but not the checksum."""
        connection = sqlite3.connect(self.path)
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
        connection.commit()
        connection.close()


class RowsTests(ReaderCase):
    def test_order(self) -> None:
        """Rows come in the order of the key, but retained messages as they were put in."""
        rows = rows_of(12)
        self.make(puts({name: rows[name][::-1] for name in rows}))
        content = self.content(self.open())
        for table in TABLES:
            expected = (
                rows[table.name][::-1]
                if table.name == "retained"
                else sorted(rows[table.name], key=lambda row: row[: table.key])
            )
            self.assertEqual(content[table.name], expected, table.name)

    def test_damaged_rows(self) -> None:
        """Rows with a wrong checksum are left out, counted, and taken out of the file; a copy is kept."""
        rows = rows_of(20)
        self.make(puts(rows))
        self.spoil("session", "username", "root", "sid = 3")
        self.spoil("subscription", "topic_filter", "#", "sid IN (4, 5) AND options = 1")
        self.spoil("message", "payload", b"forged", "mid = 7")
        file = self.open()
        self.assertEqual(list(file.rows(SESSION)), [row for row in rows["session"] if row[0] != 3])
        where, aside = f"{self.path}:", f"{self.path}.damaged-20231114-221320"
        self.assertEqual(
            self.notices,
            [
                f"{where} its sound rows are written anew; a copy with the damaged ones is kept as {aside}",
                f"{where} 1 damaged rows of table session are left out",
                f"{where} 2 damaged rows of table subscription are left out",
                f"{where} 1 damaged rows of table message are left out",
            ],
        )
        self.assertEqual(len(list(file.rows(SUBSCRIPTION))), 38)
        file.close()
        self.assertEqual(self.rows(SESSION), [row for row in rows["session"] if row[0] != 3])
        self.assertEqual(len(self.notices), 4)
        kept = sqlite3.connect(aside)
        self.assertEqual(kept.execute("SELECT username FROM session WHERE sid = 3").fetchall(), [("root",)])
        kept.close()

    def test_a_text_that_is_none(self) -> None:
        """A text that is not UTF-8 any more makes but a damaged row; those after it come."""
        rows = rows_of(20)
        self.make(puts(rows))
        connection = sqlite3.connect(self.path)
        connection.execute("UPDATE session SET client_id = CAST(x'ff41' AS TEXT) WHERE sid = 3")
        connection.commit()
        connection.close()
        file = self.open()
        self.assertEqual(list(file.rows(SESSION)), [row for row in rows["session"] if row[0] != 3])
        self.assertIn(f"{self.path}: 1 damaged rows of table session are left out", self.notices)

    def test_what_can_not_be_put_right(self) -> None:
        """When the disk has no room for a copy the damaged rows are left out all the same."""
        rows = rows_of(20)
        self.make(puts(rows))
        self.spoil("session", "username", "root", "sid = 3")
        file = self.open()
        file._now = self.no_room
        self.assertEqual(list(file.rows(SESSION)), [row for row in rows["session"] if row[0] != 3])
        self.assertEqual(
            self.notices, [f"{self.path}: damaged rows are left out, but stay in the file: no room"]
        )

    def no_room(self) -> float:
        raise OSError("no room")

    def test_while_the_writer_writes(self) -> None:
        """What is read is what was committed before, and then what came since."""
        file = self.open()
        database = Database(self.path, "off")
        self.addCleanup(database.close, False)
        database.commit([Frame(1, NOW, [(TABLES.index(MESSAGE), [body(1), body(2)], [])])])
        rows = file.rows(MESSAGE)
        self.assertEqual(next(rows), body(1))
        database.commit([Frame(2, NOW, [(TABLES.index(MESSAGE), [body(3)], [(2,)])])])
        self.assertEqual(list(rows), [body(2)])
        self.assertEqual(list(file.rows(MESSAGE)), [body(1), body(3)])


class QueueTests(ReaderCase):
    def fill(self) -> StoreFile:
        """Sessions 1 and 2 wait for bodies 1 to 10, 2 and 3 for body 1 again, 4 for what is retained."""
        waiting = [queued(n, n, 1 + n % 2) for n in range(1, 11)]
        waiting += [queued(11, 1, 3), queued(12, 1, 2), queued(13, 0, 4)]
        self.make(puts({"queue": waiting, "message": [body(n) for n in range(1, 11)]}))
        return self.open()

    def test_backlogs(self) -> None:
        """Each session for which something waits, with how much that is and where it begins."""
        self.assertEqual(list(self.fill().backlogs()), [(1, 5, 500), (2, 6, 600), (3, 1, 100), (4, 1, 100)])

    def test_copies(self) -> None:
        """The bodies that wait in more than one place."""
        self.assertEqual(list(self.fill().copies()), [(1, 3)])

    def test_no_copies(self) -> None:
        """When each body waits in one place there is none, be there rows without a body or not."""
        waiting = [queued(n, n, 1 + n % 2) for n in range(1, 11)] + [queued(11, 0)]
        self.make(puts({"queue": waiting, "message": [body(n) for n in range(1, 11)]}))
        self.assertEqual(list(self.open().copies()), [])

    def test_backlog(self) -> None:
        """What waits for one session comes in order, each with its body, from a position on."""
        file = self.fill()
        everything = [(queued(n, n, 2), body(n)) for n in (1, 3, 5, 7, 9)] + [(queued(12, 1, 2), body(1))]
        self.assertEqual(file.backlog(2, 0, 100), everything)
        self.assertEqual(file.backlog(2, 0, 2), everything[:2])
        self.assertEqual(file.backlog(2, 3, 3), everything[2:5])
        self.assertEqual(file.backlog(2, 12, 3), [])
        self.assertEqual(file.backlog(4, 0, 3), [(queued(13, 0, 4), None)])
        self.assertEqual(file.backlog(9, 0, 3), [])

    def test_a_damaged_backlog(self) -> None:
        """Rows that are damaged, or whose body is, are left out and told of; others come in their place."""
        file = self.fill()
        self.spoil("queue", "packet_id", 9, "position = 3")
        self.spoil("message", "payload", b"forged", "mid = 5")
        connection = sqlite3.connect(self.path)
        connection.execute("DELETE FROM message WHERE mid = 7")
        connection.commit()
        connection.close()
        self.assertEqual([row[1] for row, _ in file.backlog(2, 0, 3)], [1, 9, 12])
        where = f"{self.path}: a damaged row of table"
        self.assertEqual(
            self.notices,
            [
                f"{where} queue is left out: sid 2, position 3",
                f"{where} message is left out: sid 2, position 5",
                f"{where} message is left out: sid 2, position 7",
            ],
        )

    def test_highest(self) -> None:
        """The highest numbers in use, 0 in an empty store."""
        self.assertEqual(self.open().highest(), (0, 0, 0))

    def test_highest_of_damaged(self) -> None:
        """A number in a damaged row does not count, however high it is."""
        rows = rows_of(30)
        self.make(puts(rows))
        self.spoil("queue", "position", 1 << 60, "position IN (1, 2, 3)")
        self.spoil("message", "mid", 1 << 60, "mid = 4")
        self.spoil("received", "sid", "x", "sid = 4")
        self.assertEqual(self.open().highest(), (30, 30, 30))

    def test_highest_sid(self) -> None:
        """What is left of a session that is gone keeps its number from being given again."""
        self.make(puts({"received": [(77, 1)], "session": rows_of(3)["session"]}))
        self.assertEqual(self.open().highest(), (77, 0, 0))
