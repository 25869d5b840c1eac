"""Retained messages (3.3.1.3): the last one of each topic."""

from __future__ import annotations

from mqttwist.broker.topic_tree import TopicTree
from mqttwist.wire.message import Kept, Message


class RetainedMessages:
    """By Topic Name, with a tree to find those that a filter with wildcards matches."""

    __slots__ = ("_messages", "_tree")

    _messages: dict[str, Message]
    _tree: TopicTree

    def __init__(self) -> None:
        self._messages = {}
        self._tree = TopicTree()

    def __len__(self) -> int:
        return len(self._messages)

    def get(self, topic_name: str) -> Message | None:
        return self._messages.get(topic_name)

    def set(self, message: Message, publisher: str = "") -> None:
        """Keep `message` of the client `publisher` in the place of the one its topic had [MQTT-3.3.1-5]."""
        before = self._messages.get(message.topic_name)
        if before is None:
            self._tree.add(message.topic_name)
        else:
            _release(before)
        self._messages[message.topic_name] = message
        if message.kept is None:
            message.kept = Kept(message, publisher)

    def remove(self, topic_name: str) -> bool:
        """Forget what the topic has [MQTT-3.3.1-6]; False when it had nothing."""
        message = self._messages.pop(topic_name, None)
        if message is None:
            return False
        _release(message)
        self._tree.discard(topic_name)
        return True

    def matching(self, topic_filter: str) -> list[Message]:
        """What a subscription to `topic_filter` (no shared one) is sent."""
        if "+" not in topic_filter and "#" not in topic_filter:
            message = self._messages.get(topic_filter)
            return [] if message is None else [message]
        return [self._messages[name] for name in self._tree.matching(topic_filter)]


def _release(message: Message) -> None:
    """`message` is not retained any more: what was to be sent of it because of a SUBSCRIBE is not."""
    if message.kept is not None:
        message.kept.message = None
        message.kept = None
