"""Topic Aliases of one Network Connection (3.3.2.3.4); they never outlive it [MQTT-3.3.2-7]."""

from __future__ import annotations

from collections import OrderedDict

from mqttwist.wire.errors import ProtocolError
from mqttwist.wire.publish import Publish


class InboundAliases:
    """What the peer's aliases stand for: 1 to `maximum`, the Topic Alias Maximum that we told it."""

    __slots__ = ("_maximum", "_names")

    _maximum: int
    _names: dict[int, str]

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._names = {}

    def resolve(self, publish: Publish) -> None:
        """Learn the alias of `publish`, or give it the Topic Name that its alias stands for.

        Raises `ProtocolError`: 0x94 for an alias beyond the maximum [MQTT-3.3.2-9], 0x82 for one that was
        not set before.
        """
        alias = publish.topic_alias
        if alias > self._maximum:
            raise ProtocolError(0x94, f"Topic Alias {alias} is above {self._maximum}", "MQTT-3.3.2-9")
        if publish.topic_name:
            self._names[alias] = publish.topic_name
            return
        name = self._names.get(alias)
        if name is None:
            raise ProtocolError(0x82, f"Topic Alias {alias} was never set", "3.3.4")
        publish.topic_name = name


class OutboundAliases:
    """Aliases for the Topic Names sent most recently: 1 to `maximum`, what the peer said [MQTT-3.3.2-11]."""

    __slots__ = ("_aliases", "_maximum")

    _maximum: int
    _aliases: OrderedDict[str, int]  # the one used longest ago first

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._aliases = OrderedDict()

    def alias_for(self, topic_name: str) -> tuple[int, bool]:
        """The alias of `topic_name` (0: it gets none), and whether the peer knows it already."""
        aliases = self._aliases
        alias = aliases.get(topic_name, 0)
        if alias:
            aliases.move_to_end(topic_name)
            return alias, True
        if self._maximum == 0:
            return 0, False
        if len(aliases) < self._maximum:
            alias = len(aliases) + 1
        else:
            _, alias = aliases.popitem(last=False)
        aliases[topic_name] = alias
        return alias, False
