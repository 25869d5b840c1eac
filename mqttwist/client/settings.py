"""What a client asks of the Server, and how much it keeps: one table of settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mqttwist.session.session import NEVER
from mqttwist.wire.connect import Connect, Will
from mqttwist.wire.datatypes import encode_string
from mqttwist.wire.decoder import LARGEST_PACKET
from mqttwist.wire.packet import MQTT_3_1, MQTT_3_1_1, MQTT_5
from mqttwist.wire.properties import Properties

# What `version` may be, and the protocol versions that are tried for it, in turn.
VERSIONS: Final[dict[object, tuple[int, ...]]] = {
    5: (MQTT_5,),
    "5": (MQTT_5,),
    "5.0": (MQTT_5,),
    4: (MQTT_3_1_1,),
    "3.1.1": (MQTT_3_1_1,),
    3: (MQTT_3_1,),
    "3.1": (MQTT_3_1,),
    "auto": (MQTT_5, MQTT_3_1_1, MQTT_3_1),
}

# What a full queue does with one more message.
WHEN_FULL: Final = ("error", "block", "drop-oldest", "drop-qos0")

# What becomes of messages that were sent and not confirmed when the Server has lost the session.
ON_SESSION_LOSS: Final = ("republish", "republish-qos1", "fail")


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Raises `ValueError` for a value outside its range.

    `versions` are protocol versions (5, 4 for 3.1.1, 3 for 3.1), the one to try first first. Intervals are in
    seconds: `keep_alive` 0..65,535 (0: none), `session_expiry_interval` 0..4,294,967,295 (the highest: never;
    in 3.x all but 0 means never). `clean_start` is for the first connection; the later ones go on with the
    session if it outlives a connection.

    `receive_maximum` 1..65,535 bounds what the Server may have under way to us, `maximum_packet_size` is in
    bytes, `topic_alias_maximum` 0..65,535 the aliases that the Server may use. What we publish and can't send
    yet is bounded by `queue_messages` and `queue_bytes` (0: no limit). `hold_bytes` is how much may wait for
    the application before nothing more is read from the Server.

    `retry_interval` is for 3.x, where what is not confirmed is sent again after so many seconds (0: never).
    """

    client_id: str = ""
    versions: tuple[int, ...] = (MQTT_5,)
    clean_start: bool = False
    keep_alive: int = 60
    session_expiry_interval: int = 0
    will: Will | None = None
    properties: Properties | None = None  # more properties of CONNECT: User Properties, request problem info
    receive_maximum: int = 256
    maximum_packet_size: int = 16 << 20
    topic_alias_maximum: int = 64
    queue_messages: int = 10_000
    queue_bytes: int = 16 << 20
    when_full: str = "error"
    hold_bytes: int = 16 << 20
    on_session_loss: str = "republish-qos1"
    retry_interval: float = 20.0
    connect_timeout: float = 30.0
    ping_timeout: float = 20.0

    def __post_init__(self) -> None:
        encode_string(self.client_id)
        if not self.versions or any(one not in (MQTT_3_1, MQTT_3_1_1, MQTT_5) for one in self.versions):
            raise ValueError(f"the versions {self.versions} are not some of 5, 4 (3.1.1) and 3 (3.1)")
        _check_range("keep_alive", self.keep_alive, 0, 0xFFFF)
        _check_range("session_expiry_interval", self.session_expiry_interval, 0, NEVER)
        _check_range("receive_maximum", self.receive_maximum, 1, 0xFFFF)
        _check_range("maximum_packet_size", self.maximum_packet_size, 128, LARGEST_PACKET)
        _check_range("topic_alias_maximum", self.topic_alias_maximum, 0, 0xFFFF)
        _check_range("queue_messages", self.queue_messages, 0, 1 << 31)
        _check_range("queue_bytes", self.queue_bytes, 0, 1 << 50)
        _check_range("hold_bytes", self.hold_bytes, 1, 1 << 50)
        _check_seconds("retry_interval", self.retry_interval, 0.0)
        _check_seconds("connect_timeout", self.connect_timeout, 0.001)
        _check_seconds("ping_timeout", self.ping_timeout, 0.001)
        if self.will is not None:
            Connect("", self.versions[0], will=self.will).encode()
        _check_choice("when_full", self.when_full, WHEN_FULL)
        _check_choice("on_session_loss", self.on_session_loss, ON_SESSION_LOSS)
        if not self.client_id and self.session_expiry_interval and self.versions[0] != MQTT_5:
            raise ValueError("a session that outlives its connection needs a client_id [MQTT-3.1.3-8]")

    @property
    def session_outlives(self) -> bool:
        """Whether there is a session to go on with after the connection."""
        return self.session_expiry_interval > 0


def _check_range(name: str, value: int, minimum: int, maximum: int) -> None:
    if not minimum <= value <= maximum:
        raise ValueError(f"{name} is {value:,}, not {minimum:,} to {maximum:,}")


def _check_seconds(name: str, value: float, minimum: float) -> None:
    if not minimum <= value <= NEVER:
        raise ValueError(f"{name} is {value} seconds, not {minimum:g} or more")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, not one of {', '.join(choices)}")
