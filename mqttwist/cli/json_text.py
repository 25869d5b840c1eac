"""JSON as Mosquitto's commands write it: members in order, names that may come twice, tabs when pretty."""

from __future__ import annotations

import json
import math
from typing import Any

Members = list[tuple[str, Any]]


class Object:
    """A JSON object whose members keep their order and may have the same name."""

    def __init__(self, members: Members) -> None:
        self.members = members


def parse(text: bytes) -> object:
    """What `text` says; objects as `Object`. Raises `ValueError`, also for too deep nesting."""
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=Object)
    except RecursionError as error:
        raise ValueError("too deeply nested") from error


def write(value: object, pretty: bool = False, depth: int = 0) -> str:
    """The text of `value`, in one line, or with a line for each member."""
    if isinstance(value, Object):
        return _write_object(value.members, pretty, depth)
    if isinstance(value, list):
        return "[" + (", " if pretty else ",").join(write(one, pretty, depth) for one in value) + "]"
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return _write_number(value)
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")


def _write_object(members: Members, pretty: bool, depth: int) -> str:
    name = [json.dumps(name, ensure_ascii=False) for name, _ in members]
    values = [write(value, pretty, depth + 1) for _, value in members]
    if not pretty:
        return "{" + ",".join(f"{one}:{value}" for one, value in zip(name, values, strict=True)) + "}"
    indent = "\t" * (depth + 1)
    lines = ",\n".join(f"{indent}{one}:\t{value}" for one, value in zip(name, values, strict=True))
    return "{\n" + lines + "\n" + "\t" * depth + "}" if members else "{\n" + "\t" * depth + "}"


def _write_number(value: float) -> str:
    """As C's `%g` does, with the fewest of 15 or 17 digits that say the same number."""
    try:
        number = float(value)
    except OverflowError:
        return "null"
    if not math.isfinite(number):
        return "null"
    if number.is_integer() and abs(number) < 2**31:
        return str(int(number))
    short = f"{number:.15g}"
    return short if float(short) == number else f"{number:.17g}"
