"""A map from Topic Names that finds those a Topic Filter matches, without looking at the others.

A name with the level `+` stands for all that have something else in its place: a filter finds it if it
matches one of them.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from mqttwist.native import mypyc_attr

Item = TypeVar("Item")


@mypyc_attr(acyclic=True)
class _Level:
    """`children` is None where no name goes deeper: most levels are the last of a name."""

    __slots__ = ("children", "item")

    children: dict[str, _Level] | None
    item: Any  # of the Topic Name that ends here

    def __init__(self) -> None:
        self.children = None
        self.item = None

    def child(self, part: str) -> _Level | None:
        return None if self.children is None else self.children.get(part)


class TopicTree(Generic[Item]):
    """An item for each of many Topic Names, by their levels (4.7.1.1).

    `walked` counts the levels that `matching` has looked at.
    """

    __slots__ = ("_root", "walked")

    walked: int
    _root: _Level

    def __init__(self) -> None:
        self.walked = 0
        self._root = _Level()

    def __del__(self) -> None:
        """Take the tree apart level by level: levels that drop each other would nest as deep as names go."""
        levels = [self._root]
        while levels:
            level = levels.pop()
            if level.children is not None:
                levels.extend(level.children.values())
                level.children = None

    def put(self, topic_name: str, item: Item) -> Item | None:
        """Set the item of a name; answers the one that it takes the place of."""
        level = self._root
        for part in topic_name.split("/"):
            children = level.children
            if children is None:
                children = level.children = {}
            child = children.get(part)
            if child is None:
                child = children[part] = _Level()
            level = child
        before: Item | None = level.item
        level.item = item
        return before

    def get(self, topic_name: str) -> Item | None:
        level = self._root
        for part in topic_name.split("/"):
            child = level.child(part)
            if child is None:
                return None
            level = child
        item: Item | None = level.item
        return item

    def discard(self, topic_name: str) -> Item | None:
        """Take a name out, and the levels that lead to nothing else; answers the item that it had."""
        path = [self._root]
        parts = topic_name.split("/")
        for part in parts:
            child = path[-1].child(part)
            if child is None:
                return None
            path.append(child)
        item: Item | None = path[-1].item
        path[-1].item = None
        for position in range(len(parts), 0, -1):
            level, children = path[position], path[position - 1].children
            if level.children or level.item is not None or children is None:
                break
            del children[parts[position - 1]]
        return item

    def matching(self, topic_filter: str) -> list[Item]:
        """The items of the names that `topic_filter` matches, `$`-topics apart [MQTT-4.7.2-1]."""
        parts = topic_filter.split("/")
        current = [self._root]
        for position, part in enumerate(parts):
            if part == "#":
                items: list[Item] = _items_below(current, position == 0)
                self.walked += len(items)
                return items
            current = _next_levels(current, part, position == 0)
            self.walked += len(current)
        return [level.item for level in current if level.item is not None]


def _next_levels(current: list[_Level], part: str, of_root: bool) -> list[_Level]:
    """The levels below `current` that a part of a filter stands for, but for `#`."""
    if part == "+":
        return _children_of(current, of_root)
    return [child for level in current for name in (part, "+") if (child := level.child(name)) is not None]


def _children_of(levels: list[_Level], of_root: bool) -> list[_Level]:
    """What `+` stands for: every child; at the root those without `$`."""
    return [
        child
        for level in levels
        if level.children
        for name, child in level.children.items()
        if not (of_root and name.startswith("$"))
    ]


def _items_below(levels: list[_Level], of_root: bool) -> list[Any]:
    """All items at and below `levels`: `sport/#` matches `sport` too (4.7.1.2)."""
    items: list[Any] = []
    stack = _children_of(levels, True) if of_root else list(levels)
    while stack:
        level = stack.pop()
        if level.item is not None:
            items.append(level.item)
        if level.children:
            stack.extend(level.children.values())
    return items
