"""What a publish comes to."""

from __future__ import annotations

from dataclasses import dataclass

from mqttwist.client.publication import Publication


@dataclass(frozen=True, slots=True)
class Published:
    """The Server has a message; at QoS 0 it was written to the connection.

    `reason_code` is 0, or 0x10 when nobody has subscribed to its topic, as far as a Server of MQTT 5.0 says
    so. `packet_id` is 0 at QoS 0. With `duplicate_risk` the Server may have it twice: it had lost the session
    in which it was sent first.
    """

    reason_code: int
    packet_id: int
    reason_string: str | None
    user_properties: tuple[tuple[str, str], ...]
    duplicate_risk: bool


def published(publication: Publication) -> Published:
    """What `publication` has come to."""
    return Published(
        publication.reason_code,
        publication.packet_id,
        publication.reason_string,
        publication.user_properties,
        publication.duplicate_risk,
    )
