"""A broker that is a few lists, and clients that are loops: it makes histories to test the checker with.

It is faithful unless it is told to commit one of the `SABOTAGES`. It is killed now and then: what it had not
stored is gone, and the publishers send again what was not acknowledged.
"""

from __future__ import annotations

from collections import deque
from random import Random

from tests.torture.history import (
    Acknowledged,
    Closed,
    Completed,
    Delivered,
    HasRead,
    History,
    Identity,
    Killed,
    Proved,
    Reading,
    Returned,
    Sent,
    SessionLost,
    Started,
    Subscribed,
    Subscribing,
    WillSet,
    make_payload,
)

SUBSCRIBERS = {"s1": ("a/#", 1), "s2": ("a/#", 2), "other": ("b/#", 2)}

# Which rule finds it, by what the broker does.
SABOTAGES = {
    "acknowledges before it has stored": "lost",
    "drops one in a thousand": "lost",
    "reorders two": "order",
    "delivers twice at QoS 2": "twice",
    "forgets the ids of QoS 2 when killed": "twice",
    "changes a payload": "content",
    "delivers on another topic": "content",
    "invents a message": "content",
    "delivers to another subscriber": "receiver",
    "delivers at QoS 0": "receiver",
    "forgets a session": "session",
}


class SimulatedBroker:
    """Publishers p1 (QoS 1) and p2 (QoS 2), subscribers as above."""

    def __init__(self, sabotage: str = "", seed: int = 1) -> None:
        assert not sabotage or sabotage in SABOTAGES
        self.sabotage = sabotage
        self.history = History()
        self.random = Random(seed)
        self.unstored: deque[Sent] = deque()
        self.unreleased: set[Identity] = set()  # QoS 2: stored and not yet released by the publisher
        self.count = 0
        for client, (topic_filter, qos) in SUBSCRIBERS.items():
            self.history.add(Subscribing(client, topic_filter, qos))
            self.history.add(Subscribed(client, topic_filter, qos))

    def run(self, messages: int = 2500) -> History:
        """Publish so many, with a kill after each hundred."""
        for sequence in range(messages):
            qos = 1 + sequence % 2
            topic = f"{'ab'[sequence % 7 == 0]}/{qos}"
            sent = Sent(Identity(f"p{qos}", sequence), topic, qos)
            self.history.add(sent)
            self._receive(sent)
            if sequence % 100 == 50:
                self._be_killed()
            elif self.random.random() < 0.3:
                self._store()
        self._store()
        return self.history

    def _receive(self, sent: Sent) -> None:
        self.unstored.append(sent)
        if self.sabotage == "acknowledges before it has stored":
            self.history.add(Acknowledged(sent.identity))

    def _store(self) -> None:
        if self.sabotage == "reorders two" and len(self.unstored) > 3:
            self.unstored.rotate(2)
        while self.unstored:
            sent = self.unstored.popleft()
            self._take_over(sent)
            self.history.add(Acknowledged(sent.identity))
            self._complete(sent)

    def _take_over(self, sent: Sent) -> None:
        """Store it, and deliver it unless this QoS 2 message is known already."""
        if sent.identity in self.unreleased:
            return
        if sent.qos == 2:
            self.unreleased.add(sent.identity)
        self._deliver(sent)

    def _complete(self, sent: Sent) -> None:
        if sent.qos == 2:
            self.unreleased.discard(sent.identity)
            self.history.add(Completed(sent.identity))

    def _be_killed(self) -> None:
        """The last message may have been stored, though nobody was told; the others are sent again."""
        lost = list(self.unstored)
        self.unstored.clear()
        self._take_over(lost[0])
        if self.sabotage == "forgets the ids of QoS 2 when killed":
            self.unreleased.clear()
        if self.sabotage == "forgets a session":
            self.history.add(SessionLost("s1"))
        if self.sabotage != "acknowledges before it has stored":
            for sent in lost:
                self._receive(sent)

    def _deliver(self, sent: Sent) -> None:
        self.count += 1
        if self.sabotage == "drops one in a thousand" and self.count % 1000 == 999:
            return
        for client, (topic_filter, qos) in SUBSCRIBERS.items():
            wrong = self.sabotage == "delivers to another subscriber" and self.count == 1000
            if (topic_filter[0] == sent.topic[0]) != wrong:
                self._send(client, sent, min(qos, sent.qos))

    def _send(self, client: str, sent: Sent, qos: int) -> None:
        payload, topic = make_payload(sent.identity, sent.topic, 60), sent.topic
        if self.count == 1000:
            if self.sabotage == "changes a payload":
                payload = payload[:-20] + b"?" + payload[-19:]
            elif self.sabotage == "delivers on another topic":
                topic += "/x"
            elif self.sabotage == "invents a message":
                payload = make_payload(Identity("nobody", 1), topic, 60)
            elif self.sabotage == "delivers at QoS 0":
                qos = 0
        times = 1
        if qos == 1 or self.sabotage == "delivers twice at QoS 2":
            times += self.random.random() < 0.1
        for again in range(times):
            self.history.add(Delivered(client, topic, payload, qos, dup=again > 0))


RETAINED_SABOTAGES = {
    "loses one": "retained lost",
    "serves an old one": "retained old",
    "serves one twice": "retained twice",
    "keeps one that was removed": "retained old",
    "serves without RETAIN": "retained lost",
}


def retained_history(sabotage: str = "") -> History:
    """Three versions of 20 topics, the last of every fifth an empty one; the newest are not acknowledged."""
    history = History()
    for version in range(3):
        for number in range(20):
            identity = Identity("p", 20 * version + number)
            empty = version == 1 and number % 5 == 0
            history.add(Sent(identity, f"r/{number}", 1, retain=True, empty=empty))
            if version < 2:
                history.add(Acknowledged(identity))
    history.add(Reading("reader", "r/#"))
    for number in range(20):
        for version in _served(number, sabotage):
            payload = make_payload(Identity("p", 20 * version + number), f"r/{number}")
            retain = not (number == 7 and sabotage == "serves without RETAIN")
            history.add(Delivered("reader", f"r/{number}", payload, 1, retain=retain))
    history.add(HasRead("reader"))
    return history


def _served(number: int, sabotage: str) -> list[int]:
    """Which versions of a topic the reader gets: a faithful broker may have stored the newest or not."""
    if number == 5 and sabotage == "keeps one that was removed":
        return [0]
    if number % 5 == 0:
        return []
    if number == 7 and sabotage == "loses one":
        return []
    if number == 7 and sabotage == "serves an old one":
        return [0]
    if number == 7 and sabotage == "serves one twice":
        return [1, 1]
    return [1 + number % 2]


WILL_SABOTAGES = {
    "loses a will": "will lost",
    "sends a will twice": "will twice",
    "does not wait for the delay": "will early",
    "waits for the delay although the session ended": "will late",
    "sends what was called off": "will false",
    "sends although the client came back": "will false",
    "sends while the client is there": "will early",
    "loses the will of a kill": "will lost",
    "does not send when a new session begins": "will late",
}


def will_history(sabotage: str = "") -> History:
    """Wills with all the ways to end, each at a time of its own, and the broker down from 200 to 210."""
    history = History([Started(0.0)])
    plain = dict.fromkeys(("there", "called off", "at once"), (0, 0))
    delays = {"later": (20, 60), "session ends": (60, 10), "back": (60, 90), "anew": (60, 90)}
    for client, (delay, expiry) in {**plain, **delays, "while down": (5, 60)}.items():
        history.add(WillSet(client, f"w/{client}", delay, expiry))
    history.add(Proved())
    for client in ("called off", "at once", *delays):
        history.add(Closed(client, client == "called off", 100.0))
    history.add(Proved())
    history.add(Returned("back", False, 110.0))
    history.add(Returned("anew", True, 110.0))
    history.add(Proved())
    came = {"at once": 100.1, "later": 120.1, "session ends": 110.1, "anew": 110.1}
    came |= {"while down": 210.1, "there": 210.1}
    came |= {
        "does not wait for the delay": {"later": 100.1},
        "waits for the delay although the session ended": {"session ends": 160.0},
        "sends what was called off": {"called off": 100.1},
        "sends although the client came back": {"back": 160.0},
        "sends while the client is there": {"there": 150.0},
        "does not send when a new session begins": {"anew": 160.0},
    }.get(sabotage, {})
    for client in {"loses a will": ["later"], "loses the will of a kill": ["while down"]}.get(sabotage, []):
        del came[client]
    history.add(Closed("while down", False, 199.0))
    history.add(Proved())
    history.add(Killed(200.0))
    history.add(Started(210.0))
    for client, at in came.items():
        for _ in range(2 if sabotage == "sends a will twice" and client == "later" else 1):
            history.add(Delivered("watch", f"w/{client}", b"", 2, at=at))
    return history
