"""All limits of the broker in one table: name, default, range, unit and what it does.

The command's options are made from this table, so `twistd mqtt --help` and this page can't disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from mqttwist.session.session import NEVER
from mqttwist.wire.decoder import LARGEST_PACKET


def _limit(default: Any, minimum: Any, maximum: Any, unit: str, help_text: str) -> Any:
    return field(
        default=default, metadata={"minimum": minimum, "maximum": maximum, "unit": unit, "help": help_text}
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """What the broker allows. Raises `ValueError` for a value outside its range."""

    connect_timeout: float = _limit(
        10.0, 0.1, 3600.0, "seconds", "how long a client may take from connecting until its login is through"
    )
    maximum_connections: int = _limit(
        0, 0, 10_000_000, "clients", "how many may be connected at once; 0: no limit"
    )
    maximum_keep_alive: int = _limit(
        0, 0, 65_535, "seconds", "longest Keep Alive of an MQTT 5.0 client; 0: as the client wants"
    )
    maximum_packet_size: int = _limit(
        16 << 20, 1024, LARGEST_PACKET, "bytes", "largest packet taken from a client; more is refused unread"
    )
    maximum_qos: int = _limit(2, 0, 2, "(QoS)", "highest QoS a client may publish with or be granted")
    maximum_session_expiry: int = _limit(
        NEVER, 0, NEVER, "seconds", "longest life of a session without its client; 4294967295: for ever"
    )
    maximum_subscriptions: int = _limit(
        1_000_000, 1, 1 << 31, "subscriptions", "how many subscriptions one client may have"
    )
    maximum_topic_levels: int = _limit(
        200, 1, 65_536, "levels", "how many levels a Topic Name or Topic Filter may have"
    )
    maximum_retained: int = _limit(1_000_000, 0, 1 << 31, "messages", "how many retained messages are kept")
    receive_maximum: int = _limit(
        1000, 1, 65_535, "messages", "unacknowledged QoS 1 and 2 messages a client may have sent (MQTT 5.0)"
    )
    send_maximum: int = _limit(
        1000, 1, 65_535, "messages", "unacknowledged QoS 1 and 2 messages sent to a client at once"
    )
    topic_alias_maximum: int = _limit(
        64, 0, 65_535, "aliases", "Topic Aliases of one connection, in each direction"
    )
    queue_messages: int = _limit(
        10_000, 0, 1 << 31, "messages", "how many may wait for one client; 0: no limit"
    )
    queue_bytes: int = _limit(
        64 << 20, 0, 1 << 40, "bytes", "how much may wait for one client, and be in flight to it; 0: no limit"
    )
    queue_qos_0: int = _limit(1, 0, 1, "(no, yes)", "whether QoS 0 messages wait for a client that is away")
    retry_interval: float = _limit(
        20.0,
        0.0,
        86_400.0,
        "seconds",
        "after what time an MQTT 3.x client is sent an unacknowledged message again; 0: never",
    )
    retain_available: int = _limit(1, 0, 1, "(no, yes)", "whether retained messages are supported")
    sys_interval: float = _limit(
        10.0, 0.0, 86_400.0, "seconds", "how often $SYS topics are published; 0: never"
    )

    def __post_init__(self) -> None:
        for row in fields(self):
            value = getattr(self, row.name)
            minimum, maximum = row.metadata["minimum"], row.metadata["maximum"]
            if not minimum <= value <= maximum:
                raise ValueError(
                    f"{row.name} must be {minimum}..{maximum} {row.metadata['unit']}, not {value}"
                )
