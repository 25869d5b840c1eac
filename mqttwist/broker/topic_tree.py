"""A set of Topic Names that finds those a Topic Filter matches, without looking at the others."""

from __future__ import annotations


class _Level:
    __slots__ = ("children", "name")

    children: dict[str, _Level]
    name: str | None  # the whole Topic Name, where one ends here

    def __init__(self) -> None:
        self.children = {}
        self.name = None


class TopicTree:
    """Topic Names by their levels (4.7.1.1)."""

    __slots__ = ("_root",)

    _root: _Level

    def __init__(self) -> None:
        self._root = _Level()

    def add(self, topic_name: str) -> None:
        level = self._root
        for part in topic_name.split("/"):
            child = level.children.get(part)
            if child is None:
                child = level.children[part] = _Level()
            level = child
        level.name = topic_name

    def discard(self, topic_name: str) -> None:
        """Take the name out if it is in, and the levels that lead to nothing else."""
        path = [self._root]
        parts = topic_name.split("/")
        for part in parts:
            child = path[-1].children.get(part)
            if child is None:
                return
            path.append(child)
        path[-1].name = None
        for position in range(len(parts), 0, -1):
            if path[position].children or path[position].name is not None:
                return
            del path[position - 1].children[parts[position - 1]]

    def matching(self, topic_filter: str) -> list[str]:
        """The names that `topic_filter` matches, `$`-topics apart [MQTT-4.7.2-1]."""
        current = [self._root]
        parts = topic_filter.split("/")
        for position, part in enumerate(parts):
            if part == "#":
                return _names_below(current, position == 0)
            if part == "+":
                current = [
                    child
                    for level in current
                    for name, child in level.children.items()
                    if position or not name.startswith("$")
                ]
            else:
                current = [level.children[part] for level in current if part in level.children]
        return [level.name for level in current if level.name is not None]


def _names_below(levels: list[_Level], is_root: bool) -> list[str]:
    """All names at and below `levels`: `sport/#` matches `sport` too (4.7.1.2)."""
    names: list[str] = []
    stack = list(levels)
    if is_root:
        stack = [child for name, child in levels[0].children.items() if not name.startswith("$")]
    while stack:
        level = stack.pop()
        if level.name is not None:
            names.append(level.name)
        stack.extend(level.children.values())
    return names
