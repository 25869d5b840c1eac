"""Retained messages (3.3.1.3): the last one of each topic."""

from __future__ import annotations

from mqttwist.broker.topic_tree import TopicTree
from mqttwist.wire.message import Kept, Message


class RetainedMessages:
    """By Topic Name, with a tree to find those that a filter with wildcards matches."""

    __slots__ = ("_places", "_tree")

    _places: dict[str, Kept]
    _tree: TopicTree

    def __init__(self) -> None:
        self._places = {}
        self._tree = TopicTree()

    def __len__(self) -> int:
        return len(self._places)

    def get(self, topic_name: str) -> Message | None:
        kept = self._places.get(topic_name)
        return None if kept is None else kept.message

    def set(self, message: Message, publisher: str = "") -> None:
        """Keep `message` of the client `publisher` in the place of the one its topic had [MQTT-3.3.1-5].

        Where the old one was to be sent because of a SUBSCRIBE, it is not any more.
        """
        before = self._places.get(message.topic_name)
        if before is None:
            self._tree.add(message.topic_name)
        else:
            before.message = None
        self._places[message.topic_name] = Kept(message, publisher)

    def remove(self, topic_name: str) -> bool:
        """Forget what the topic has [MQTT-3.3.1-6]; False when it had nothing."""
        kept = self._places.pop(topic_name, None)
        if kept is None:
            return False
        kept.message = None
        self._tree.discard(topic_name)
        return True

    def matching(self, topic_filter: str) -> list[Kept]:
        """The places of what a subscription to `topic_filter` (no shared one) is sent."""
        if "+" not in topic_filter and "#" not in topic_filter:
            kept = self._places.get(topic_filter)
            return [] if kept is None else [kept]
        return [self._places[name] for name in self._tree.matching(topic_filter)]
