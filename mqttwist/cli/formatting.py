"""How `sub` and `rr` print a message: the payload, `-v`, or a format of `-F` as mosquitto_sub has them.

A format is taken apart once. Each part is a function of what is shown (`Shown`) that answers bytes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from mqttwist.cli import json_text
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish

ESCAPES: Final = {
    "\\": b"\\",
    "0": b"\0",
    "a": b"\a",
    "e": b"\x1b",
    "n": b"\n",
    "r": b"\r",
    "t": b"\t",
    "v": b"\v",
}
SECOND: Final = 1_000_000_000  # nanoseconds

_SPECIFIER = re.compile(r"%(-?)(0?)([0-9]*)(?:\.([0-9]*))?(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Shown:
    """A message that is printed: `at` is when it came, in nanoseconds since 1970."""

    publish: Publish
    properties: Properties
    at: int


@dataclass(frozen=True, slots=True)
class Field:
    """The flags of one specifier: `width` 0 for none, `precision` -1 for none."""

    left: bool
    zero: bool
    width: int
    precision: int

    def text(self, value: str | None) -> bytes:
        """A string, cut and padded; bytes count, as in C."""
        raw = (value or "").encode()
        if self.precision >= 0:
            raw = raw[: self.precision]
        return raw.ljust(self.width) if self.left else raw.rjust(self.width)

    def number(self, value: int | None) -> bytes:
        """A number, or as many blanks (zeros) where there is none."""
        if value is None:
            return (b"0" if self.zero else b" ") * self.width
        raw = str(value).encode()
        if self.left:
            return raw.ljust(self.width)
        return raw.rjust(self.width, b"0" if self.zero else b" ")

    def payload(self, value: bytes, form: str) -> bytes:
        """The payload as it is (`p`) or in hexadecimal (`x`, `X`); a width cuts as well as pads."""
        if self.width:
            value = value[: self.width] if form == "p" else value[: min(len(value), self.width) // 2]
        raw = value if form == "p" else value.hex().encode()
        if form == "X":
            raw = raw.upper()
        if self.left:
            return raw.ljust(self.width)
        return raw.rjust(self.width, b"0" if self.zero else b" ")


class NotJSON(Exception):
    """%J was asked for a payload that is none."""


Part = Callable[[Shown], bytes]


class Format:
    """A format of `-F`. Raises `ValueError` for one that is none."""

    def __init__(self, text: str, pretty: bool = False) -> None:
        self._pretty = pretty
        self._parts: list[Part] = []
        at = 0
        while at < len(text):
            at = self._add(text, at)

    def render(self, shown: Shown) -> tuple[bytes, bool]:
        """The bytes for one message, and whether its payload is what %J needs; if not, that part is empty."""
        done: list[bytes] = []
        is_json = True
        for part in self._parts:
            try:
                done.append(part(shown))
            except NotJSON:
                is_json = False
        return b"".join(done), is_json

    def _add(self, text: str, at: int) -> int:
        """Take the part that begins at `at`; answers where the next one does."""
        kind = text[at]
        if kind == "%":
            found = _SPECIFIER.match(text, at)
            if found is None:
                raise ValueError("Incomplete format specifier.")
            self._parts.append(self._specifier(found))
            return found.end()
        if kind in "@\\":
            if at + 1 == len(text):
                raise ValueError(f"Incomplete {'escape' if kind != '@' else 'format'} specifier.")
            letter = text[at + 1]
            self._parts.append(_time_part(letter) if kind == "@" else _literal(_escape(letter)))
            return at + 2
        end = min((place for sign in "%@\\" if (place := text.find(sign, at)) >= 0), default=len(text))
        self._parts.append(_literal(text[at:end].encode("utf-8", "surrogateescape")))
        return end

    def _specifier(self, found: re.Match[str]) -> Part:
        left, zero, width, precision, letter = found.groups()
        field = Field(
            left=bool(left),
            zero=bool(zero),
            width=int(width or 0),
            precision=-1 if precision is None else int(precision or 0),
        )
        if field.width > 0xFFFF:
            raise ValueError(f"Invalid field width {field.width}.")
        if letter in "jJ":
            return partial(_json_part, letter == "j", self._pretty)
        part = SPECIFIERS.get(letter)
        if part is None:
            raise ValueError(f"Invalid format specifier '{letter}'.")
        return partial(part, field)


def _literal(raw: bytes) -> Part:
    return lambda shown: raw


def _escape(letter: str) -> bytes:
    if letter not in ESCAPES:
        raise ValueError(f"Invalid escape specifier '{letter}'.")
    return ESCAPES[letter]


def _time_part(letter: str) -> Part:
    if letter == "@":
        return _literal(b"@")
    if letter == "N":
        return lambda shown: b"%09d" % (shown.at % SECOND)
    return lambda shown: time.strftime(f"%{letter}", _local(shown)).encode()


def _local(shown: Shown) -> time.struct_time:
    return time.localtime(shown.at // SECOND)


def _user_properties(shown: Shown) -> bytes:
    return " ".join(f"{name}:{value}" for name, value in shown.properties.user_properties).encode()


def _identifier(shown: Shown) -> int | None:
    identifiers = shown.properties.subscription_identifiers
    return identifiers[0] if identifiers else None


SPECIFIERS: Final[dict[str, Callable[[Field, Shown], bytes]]] = {
    "%": lambda field, shown: b"%",
    "A": lambda field, shown: field.number(shown.properties.topic_alias),
    "C": lambda field, shown: field.text(shown.properties.content_type),
    "D": lambda field, shown: shown.properties.correlation_data or b"",
    "E": lambda field, shown: field.number(shown.properties.message_expiry_interval),
    "F": lambda field, shown: field.number(shown.properties.payload_format_indicator),
    "I": lambda field, shown: field.text(time.strftime("%Y-%m-%dT%H:%M:%S%z", _local(shown))),
    "l": lambda field, shown: field.number(shown.publish.payload_size),
    "m": lambda field, shown: field.number(shown.publish.packet_id),
    "P": lambda field, shown: _user_properties(shown),
    "p": lambda field, shown: field.payload(shown.publish.payload, "p"),
    "q": lambda field, shown: b"%d" % shown.publish.qos,
    "R": lambda field, shown: field.text(topic) if (topic := shown.properties.response_topic) else b"",
    "r": lambda field, shown: b"%d" % shown.publish.retain,
    "S": lambda field, shown: field.number(_identifier(shown)),
    "t": lambda field, shown: field.text(shown.publish.topic_name),
    "U": lambda field, shown: b"%d.%09d" % divmod(shown.at, SECOND),
    "x": lambda field, shown: field.payload(shown.publish.payload, "x"),
    "X": lambda field, shown: field.payload(shown.publish.payload, "X"),
}


def _json_part(escaped: bool, pretty: bool, shown: Shown) -> bytes:
    """%j and %J; with %J the payload is JSON itself, else a string, or its bytes where it is no UTF-8."""
    publish = shown.publish
    members: json_text.Members = [
        ("tst", _timestamp(shown)),
        ("topic", publish.topic_name),
        ("qos", publish.qos),
        ("retain", int(publish.retain)),
        ("payloadlen", publish.payload_size),
    ]
    if publish.qos:
        members.append(("mid", publish.packet_id))
    if properties := _json_properties(shown.properties):
        members.append(("properties", json_text.Object(properties)))
    members.append(("payload", _json_payload(publish.payload, escaped)))
    return json_text.write(json_text.Object(members), pretty).encode()


def _timestamp(shown: Shown) -> str:
    """As Mosquitto writes it: the Z of UTC, and behind it how far away from it the local time is."""
    second, rest = divmod(shown.at, SECOND)
    local = datetime.fromtimestamp(second, UTC).astimezone()
    return f"{local:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z{local:%z}"


def _json_properties(properties: Properties) -> json_text.Members:
    correlation = properties.correlation_data
    values: json_text.Members = [
        ("payload-format-indicator", properties.payload_format_indicator),
        ("message-expiry-interval", properties.message_expiry_interval),
        ("content-type", properties.content_type),
        ("response-topic", properties.response_topic),
        ("correlation-data", None if correlation is None else correlation.decode("utf-8", "replace")),
    ]
    members = [(name, value) for name, value in values if value is not None]
    if properties.user_properties:
        members.append(("user-properties", json_text.Object(list(properties.user_properties))))
    return members


def _json_payload(payload: bytes, escaped: bool) -> object:
    if not payload:
        return None
    if not escaped:
        try:
            return json_text.parse(payload)
        except ValueError:
            raise NotJSON from None
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return list(payload)


def plain(publish: Publish, verbose: bool, end: bytes) -> bytes:
    """The payload, with `-v` after its topic. Without `-v` an empty one leaves no line, as in Mosquitto."""
    payload = publish.payload
    if not verbose:
        return payload + end if payload else b""
    topic = publish.topic_name.encode()
    if payload:
        return topic + b" " + payload + end
    return topic + b" (null)" + end if end else b""
