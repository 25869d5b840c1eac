"""A client is killed at every moment of an exchange: what it has stored comes, and QoS 2 comes once.

A program with a store publishes through a broker, or is sent messages by one. What may happen next is a
choice: a packet arrives at the broker or at the client, the thread commits a frame, the application takes a
message. All orders of these are gone through; in each state that they lead to the program is killed, with the
frame under way stored or not, and with what it last wrote received or lost. Then the next process goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.durable import Disk
from tests.front.store_rig import TAKE, TO_CLIENT, WORK, StoreTestCase

Begin = Callable[[], None]


class CrashTestCase(StoreTestCase):
    """Goes through all states that a beginning leads to."""

    def ways(self, begin: Begin, check_end: Begin) -> Iterator[list[int]]:
        """The shortest way to each state, those first from which others are reached."""
        seen: set[str] = set()
        ways: deque[list[int]] = deque([[]])
        while ways:
            way = ways.popleft()
            begin()
            for choice in way:
                self.step(choice)
            state = self.state()
            if state not in seen:
                seen.add(state)
                choices = self.choices()
                ways.extend([*way, choice] for choice in choices)
                if not choices:
                    check_end()
                yield way

    def crash_everywhere(self, begin: Begin, go_on: Begin, check_end: Begin) -> int:
        """Kill the program in each state, in every manner; how many states there are."""
        states = 0
        for way in self.ways(begin, check_end):
            states += 1
            for kept, arrives in product((False, True), (False, True)):
                begin()
                for choice in way:
                    self.step(choice)
                if (kept and not self.jobs) or (arrives and not (self.line and self.line[0].packets)):
                    continue
                self.crash(kept, arrives)
                go_on()
                self.settle()
                check_end()
        return states

    def check_disk(self) -> None:
        """Nothing is left of what is over."""
        self.assertEqual(self.disk.counts(), {"session": 1})


class PublishingTests(CrashTestCase):
    """The client publishes; somebody else has subscribed."""

    def publish(self, version: int, *qos: int) -> Begin:
        """Begin with a process that publishes a message of each `qos` and then connects."""

        def begin() -> None:
            self.version = version
            self.begin()
            self.messages = [(b"%d" % number, each) for number, each in enumerate(qos)]
            self.boot()
            for payload, each in self.messages:
                self.program.publish(payload, each)
            self.come()

        return begin

    def go_on(self) -> None:
        """The next process has nothing to publish of its own."""
        self.boot()
        self.come()

    def check_end(self) -> None:
        """What was promised has come, QoS 2 once and all in order."""
        self.promised += self.program.promised
        came = [payload for payload, _ in self.observed]
        for payload in self.promised:
            self.assertIn(payload, came, "it was stored or confirmed, and is lost")
        for qos in (1, 2):
            firsts = list(dict.fromkeys(payload for payload, each in self.observed if each == qos))
            self.assertEqual(firsts, sorted(firsts), "out of order")
        once = [payload for payload, each in self.observed if each == 2]
        self.assertEqual(len(once), len(set(once)), "QoS 2 came twice")
        self.check_disk()

    def test_one_message(self) -> None:
        """One message of QoS 1 or 2, in each version [MQTT-4.3.2-1] [MQTT-4.3.3-1]."""
        for version in (3, 4, 5):
            for qos in (1, 2):
                states = self.crash_everywhere(self.publish(version, qos), self.go_on, self.check_end)
                self.assertGreater(states, 10)

    def test_two_messages(self) -> None:
        """Two messages, in their order [MQTT-4.6.0-1]."""
        for qos in ((1, 1), (1, 2), (2, 1), (2, 2)):
            states = self.crash_everywhere(self.publish(5, *qos), self.go_on, self.check_end)
            self.assertGreater(states, 30)

    def test_the_next_process_publishes_too(self) -> None:
        """What was stored comes before what the next process publishes, and takes nothing of it away."""

        def go_on() -> None:
            self.boot()
            self.messages.append((b"9", 2))
            self.program.publish(b"9", 2)
            self.come()

        self.crash_everywhere(self.publish(5, 2), go_on, self.check_end)

    def test_the_server_has_lost_the_session(self) -> None:
        """Then QoS 1 is published anew, and with "republish" QoS 2 as well; nothing stored is lost."""

        def go_on() -> None:
            self.start_broker()
            self.boot(on_session_loss="republish")
            self.come()

        def check_end() -> None:
            self.promised += self.program.promised
            came = [payload for payload, _ in self.observed]
            self.assertEqual(set(self.promised) - set(came), set())
            self.check_disk()

        self.crash_everywhere(self.publish(5, 1, 2), go_on, check_end)


class ReceivingTestCase(CrashTestCase):
    """The client has subscribed; somebody else publishes."""

    def receive(self, version: int, *qos: int, disk: Disk | None = None) -> Begin:
        """Begin with a client that has a session; then the broker has a message of each `qos`."""

        def begin() -> None:
            self.version = version
            self.begin(disk)
            self.messages = [(b"%d" % number, each) for number, each in enumerate(qos)]
            self.boot(listens=True)
            self.come()
            self.settle()
            for payload, each in self.messages:
                self.send(payload, each)

        return begin

    def go_on(self) -> None:
        """The next process subscribes as the one before has."""
        self.known = {row["packet_id"] for row in self.disk.rows("received")}
        self.boot(listens=True)
        self.come()

    def check_end(self) -> None:
        """All has come; what came twice at QoS 2 came before its identifier was stored.

        An application that makes a note of the message with what it does for it knows it then.
        """
        firsts = list(dict.fromkeys(self.effects))
        self.assertEqual(set(firsts), {payload for payload, _ in self.messages})
        for qos in (1, 2):
            mine = [payload for payload, each in self.messages if each == qos]
            self.assertEqual([one for one in firsts if one in mine], mine, "out of order")
        self.assertLessEqual(len(self.effects), len(self.messages) * (self.lost + 1))
        self.check_disk()
        session = self.broker.sessions.get("us")
        assert session is not None
        self.assertEqual((session.outgoing.in_flight, session.outgoing.waiting.length), ({}, 0))


class ReceivingTests(ReceivingTestCase):
    """A client that has a session and stays subscribed."""

    def test_one_message(self) -> None:
        """One message of QoS 1 or 2, in each version [MQTT-4.3.3-10]."""
        for version in (3, 4, 5):
            for qos in (1, 2):
                states = self.crash_everywhere(self.receive(version, qos), self.go_on, self.check_end)
                self.assertGreater(states, 3)

    def test_two_messages(self) -> None:
        """Two messages, in their order [MQTT-4.6.0-2] [MQTT-4.6.0-3]."""
        for qos in ((1, 1), (1, 2), (2, 2)):
            self.crash_everywhere(self.receive(5, *qos), self.go_on, self.check_end)

    def test_what_is_stored_comes_once(self) -> None:
        """Once the file has the Packet Identifier, no process is handed the message again [MQTT-4.3.3-10]."""
        begin = self.receive(5, 2)
        for way in list(self.ways(begin, self.check_end)):
            begin()
            for choice in way:
                self.step(choice)
            self.crash()
            had = list(self.program.handed)
            self.go_on()
            self.settle()
            if self.known:
                self.assertEqual((had, self.program.handed), ([b"0"], []))

    def test_what_was_not_acknowledged_comes_again(self) -> None:
        """Nothing is over for the Server before the file has the Packet Identifier [MQTT-4.3.3-8]."""
        self.receive(5, 2)()
        self.step(TO_CLIENT)
        self.step(TAKE)  # PUBREC waits for the commit
        assert self.line is not None
        self.assertEqual(list(self.line[0].packets), [])
        self.crash()
        self.go_on()
        self.settle()
        self.assertEqual(self.program.handed, [b"0"])


class LostSessionTests(ReceivingTestCase):
    """The Server has lost the session in which a message came; in the next one it has another message."""

    def test_old_identifiers(self) -> None:
        """When the file has forgotten what came in a lost session, its identifiers mean other messages."""
        self.receive(5, 2)()
        for choice in (TO_CLIENT, TAKE, WORK):
            self.step(choice)
        self.crash()
        before = self.disk
        self.assertEqual([row["packet_id"] for row in before.rows("received")], [1])

        def begin() -> None:
            self.version = 5
            self.begin(before)
            self.messages = [(b"new", 2)]
            self.boot(listens=True)
            self.come()
            self.settle()
            self.send(b"new", 2)

        self.assertGreater(self.crash_everywhere(begin, self.go_on, self.check_end), 5)


class ManyCrashesTests(CrashTestCase):
    """Both ways at once, with crash after crash, at random."""

    @given(
        st.sampled_from([3, 4, 5]),
        st.lists(st.integers(0, 999), min_size=40, max_size=150),
    )
    @settings(max_examples=60, deadline=None)
    def test_many_crashes(self, version: int, luck: list[int]) -> None:
        """However often the program is killed."""
        self.version = version
        self.begin()
        self.boot()
        self.come()
        published = 0
        for number in luck:
            kind, which = number % 12, number // 12
            choices = self.choices()
            if kind == 0:
                self.crash(which % 2 == 1, which % 3 == 1)
                self.boot()
                self.come()
            elif kind == 1 and published < 20:
                self.program.publish(b"%03d" % published, 1 + which % 2)
                published += 1
                self.run_loop()
            elif choices:
                self.step(choices[which % len(choices)])
        self.settle()
        PublishingTests.check_end(self)  # type: ignore[arg-type]
