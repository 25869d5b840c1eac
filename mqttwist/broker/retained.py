"""Retained messages (3.3.1.3): the last one of each topic."""

from __future__ import annotations

from mqttwist.broker.topic_tree import TopicTree
from mqttwist.wire.message import Kept, Message


class RetainedMessages:
    """One message for each Topic Name, in a place of its own."""

    __slots__ = ("_places", "count")

    _places: TopicTree[Kept]
    count: int  # how many there are

    def __init__(self) -> None:
        self._places = TopicTree()
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def get(self, topic_name: str) -> Message | None:
        kept = self._places.get(topic_name)
        return None if kept is None else kept.message

    def set(self, message: Message, publisher: str = "") -> Kept:
        """Keep `message` of the client `publisher` in the place of the one its topic had [MQTT-3.3.1-5].

        Where the old one was to be sent because of a SUBSCRIBE, it is not any more.
        """
        kept = Kept(message, publisher)
        self.take_up(message.topic_name, kept)
        return kept

    def take_up(self, topic_name: str, kept: Kept) -> None:
        """Take the place of a topic as it is: from a store, with what was to be sent of it."""
        before = self._places.put(topic_name, kept)
        if before is None:
            self.count += 1
        else:
            before.message = None

    def remove(self, topic_name: str) -> bool:
        """Forget what the topic has [MQTT-3.3.1-6]; False when it had nothing."""
        kept = self._places.discard(topic_name)
        if kept is None:
            return False
        kept.message = None
        self.count -= 1
        return True

    def matching(self, topic_filter: str) -> list[Kept]:
        """The places of what a subscription to `topic_filter` (no shared one) is sent."""
        return self._places.matching(topic_filter)
