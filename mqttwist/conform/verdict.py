"""How a check says that something does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CheckFailed(AssertionError):
    """The Server does not do what the statement says; the text tells what was expected and what came."""


class NotApplicable(Exception):
    """The statement is about Servers of another kind than this one: with limits that this one lacks, say."""


def require(holds: bool, text: str) -> None:
    """Raise `CheckFailed` with `text`, which tells what is wrong, unless `holds`."""
    if not holds:
        raise CheckFailed(text)


def require_equal(actual: object, expected: object, what: str) -> None:
    """Raise `CheckFailed` unless both are equal; `what` names what is compared."""
    if actual != expected:
        raise CheckFailed(f"{what}: expected {short(expected)}, got {short(actual)}")


def short(value: object) -> str:
    """What `value` looks like, at not too great a length."""
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:200]} ... {text[-80:]}"


@contextmanager
def about(what: str) -> Iterator[None]:
    """Say `what` before the text of a `CheckFailed`: which of many cases it was."""
    try:
        yield
    except CheckFailed as failure:
        raise CheckFailed(f"{what}: {failure}") from None
