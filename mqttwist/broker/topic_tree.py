"""A set of Topic Names that finds those a Topic Filter matches, without looking at the others."""

from __future__ import annotations

from mqttwist.native import mypyc_attr


@mypyc_attr(acyclic=True)
class _Level:
    """`children` is None where no name goes deeper: most levels are the last of a name."""

    __slots__ = ("children", "name")

    children: dict[str, _Level] | None
    name: str | None  # the whole Topic Name, where one ends here

    def __init__(self) -> None:
        self.children = None
        self.name = None

    def child(self, part: str) -> _Level | None:
        return None if self.children is None else self.children.get(part)


class TopicTree:
    """Topic Names by their levels (4.7.1.1)."""

    __slots__ = ("_root",)

    _root: _Level

    def __init__(self) -> None:
        self._root = _Level()

    def add(self, topic_name: str) -> None:
        level = self._root
        for part in topic_name.split("/"):
            children = level.children
            if children is None:
                children = level.children = {}
            child = children.get(part)
            if child is None:
                child = children[part] = _Level()
            level = child
        level.name = topic_name

    def discard(self, topic_name: str) -> None:
        """Take the name out if it is in, and the levels that lead to nothing else."""
        path = [self._root]
        parts = topic_name.split("/")
        for part in parts:
            child = path[-1].child(part)
            if child is None:
                return
            path.append(child)
        path[-1].name = None
        for position in range(len(parts), 0, -1):
            level, children = path[position], path[position - 1].children
            if level.children or level.name is not None or children is None:
                return
            del children[parts[position - 1]]

    def matching(self, topic_filter: str) -> list[str]:
        """The names that `topic_filter` matches, `$`-topics apart [MQTT-4.7.2-1]."""
        current = [self._root]
        for position, part in enumerate(topic_filter.split("/")):
            if part == "#":
                return _names_below(current, position == 0)
            if part == "+":
                current = _children_of(current, position == 0)
            else:
                current = [child for level in current if (child := level.child(part)) is not None]
        return [level.name for level in current if level.name is not None]


def _children_of(levels: list[_Level], of_root: bool) -> list[_Level]:
    """What `+` stands for: every child; at the root those without `$`."""
    return [
        child
        for level in levels
        if level.children
        for name, child in level.children.items()
        if not (of_root and name.startswith("$"))
    ]


def _names_below(levels: list[_Level], of_root: bool) -> list[str]:
    """All names at and below `levels`: `sport/#` matches `sport` too (4.7.1.2)."""
    names: list[str] = []
    stack = _children_of(levels, True) if of_root else list(levels)
    while stack:
        level = stack.pop()
        if level.name is not None:
            names.append(level.name)
        if level.children:
            stack.extend(level.children.values())
    return names
