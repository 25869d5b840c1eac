"""Where messages are printed: options that say how, and the standard output that takes them."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, TypeVar

import click

from mqttwist.cli.formatting import SECOND, Format, Shown, plain
from mqttwist.client.received import Received
from mqttwist.wire.properties import Properties

Function = TypeVar("Function", bound=Callable[..., Any])

OPTIONS: Final = (
    click.option("-v", "--verbose", is_flag=True, help="Print the topic before each payload."),
    click.option("-F", "format_text", metavar="FORMAT", help="Print what FORMAT says: see mosquitto_sub(1)."),
    click.option("-N", "no_end", is_flag=True, help="Print no line break after a message."),
    click.option("--pretty", is_flag=True, help="Print the JSON of %j and %J on several lines."),
    click.option("--json", "as_json", is_flag=True, help="Print each message as one line of JSON."),
)

# The names of properties that a message may have, as they stand in JSON.
PROPERTIES: Final = (
    "payload_format_indicator",
    "message_expiry_interval",
    "content_type",
    "response_topic",
)


def output_options(function: Function) -> Function:
    """Give a command the options above."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


class Output:
    """Prints messages. Raises `ValueError` for a format that is none.

    Each message is written through before it is acknowledged. `warn` is told of a payload that is no JSON
    where %J needs it.
    """

    def __init__(
        self, given: dict[str, Any], warn: Callable[[str], object], stdout: BinaryIO | None = None
    ) -> None:
        self._verbose = bool(given.pop("verbose"))
        text = given.pop("format_text")
        pretty = bool(given.pop("pretty"))
        self._end = b"" if given.pop("no_end") else b"\n"
        self._format = None if text is None else Format(text, pretty)
        self._as_json = bool(given.pop("as_json"))
        self._warn = warn
        self._stdout = stdout
        if self._as_json and self._format is not None:
            raise ValueError("--json and -F can't be used together")

    def show(self, received: Received) -> None:
        """Print a message. Raises `BrokenPipeError` if nobody reads."""
        stdout = self._stdout or sys.stdout.buffer
        stdout.write(self._text(received))
        stdout.flush()

    def finish(self) -> None:
        """There will be no more; all is written."""

    def _text(self, received: Received) -> bytes:
        publish = received.publish
        if not self._as_json and self._format is None:
            return plain(publish, self._verbose, self._end)
        properties = publish.properties
        properties.subscription_identifiers = ()  # the client's own affair
        shown = Shown(publish, properties, time.time_ns())
        if self._format is None:
            return as_json(shown).encode() + b"\n"
        text, is_json = self._format.render(shown)
        if not is_json:
            self._warn(f"Error: Message payload is not valid JSON on topic {publish.topic_name}.")
        return text + self._end


def as_json(shown: Shown) -> str:
    """A message as a JSON object; its payload is text, or base64 where it is no UTF-8."""
    publish = shown.publish
    told: dict[str, object] = {"topic": publish.topic_name}
    told |= _payload(publish.payload)
    told |= {"qos": publish.qos, "retain": publish.retain, "dup": publish.dup, "time": _time(shown.at)}
    if publish.qos:
        told["packet_id"] = publish.packet_id
    if properties := _properties(shown.properties):
        told["properties"] = properties
    return json.dumps(told, ensure_ascii=False)


def _payload(payload: bytes) -> dict[str, object]:
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}


def _time(at: int) -> str:
    second, rest = divmod(at, SECOND)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def _properties(properties: Properties) -> dict[str, object]:
    told: dict[str, object] = {
        name: value for name in PROPERTIES if (value := getattr(properties, name)) is not None
    }
    correlation = properties.correlation_data
    if correlation is not None:
        told["correlation_data_base64"] = base64.b64encode(correlation).decode()
    if properties.user_properties:
        told["user_properties"] = [list(pair) for pair in properties.user_properties]
    return told
