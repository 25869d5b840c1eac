"""Where Servers are, and which of them is tried next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar
from urllib.parse import urlsplit

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}

Place = TypeVar("Place")


class Address(NamedTuple):
    """Where a Server is, on the Internet."""

    host: str
    port: int
    is_tls: bool


def address_of(url: str) -> Address:
    """What `mqtt://HOST[:PORT]` or `mqtts://HOST[:PORT]` says. Raises `ValueError`."""
    parts = urlsplit(url)
    port = PORTS.get(parts.scheme)
    if port is None or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise ValueError(
            f"{url!r} is no address of an MQTT Server: mqtt://HOST[:PORT] or mqtts://HOST[:PORT]"
        )
    if parts.username is not None:
        raise ValueError(
            "user name and password do not belong into the address: there are arguments for them"
        )
    return Address(parts.hostname, parts.port or port, parts.scheme == "mqtts")


class Places(Generic[Place]):
    """The Servers of one client, in the order in which they are tried.

    `parse` makes one of where a Server sends us, given the one that did; it may raise `ValueError`.
    """

    def __init__(self, places: list[Place], parse: Callable[[str, Place], Place]) -> None:
        if not places:
            raise ValueError("there is no Server to connect to")
        self._places = places
        self._parse = parse
        self._at = 0
        self._detour: Place | None = None
        self._last = places[0]

    def take(self) -> Place:
        """The one whose turn it is. Where a Server has sent us we go once."""
        detour, self._detour = self._detour, None
        self._last = self._places[self._at] if detour is None else detour
        return self._last

    def move_on(self) -> None:
        """The next one has its turn."""
        self._at = (self._at + 1) % len(self._places)

    def go_to(self, reference: str) -> None:
        """A Server has sent us there (4.11). Raises `ValueError` if that is nowhere."""
        self._detour = self._parse(reference, self._last)
