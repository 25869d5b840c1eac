"""What a publish comes to."""

from __future__ import annotations

from mqttwist.client.publication import Publication


class Published:
    """The Server has a message; at QoS 0 it was written to the connection.

    `reason_code` is 0, or 0x10 when nobody has subscribed to its topic, as far as a Server of MQTT 5.0 says
    so. `packet_id` is 0 at QoS 0. With `duplicate_risk` the Server may have it twice: it had lost the session
    in which it was sent first.
    """

    # By hand: what `dataclass` makes is interpreted in the compiled build, once for every message.
    __slots__ = ("duplicate_risk", "packet_id", "reason_code", "reason_string", "user_properties")

    reason_code: int
    packet_id: int
    reason_string: str | None
    user_properties: tuple[tuple[str, str], ...]
    duplicate_risk: bool

    def __init__(self, publication: Publication) -> None:
        self.reason_code = publication.reason_code
        self.packet_id = publication.packet_id
        self.reason_string = publication.reason_string
        self.user_properties = publication.user_properties
        self.duplicate_risk = publication.duplicate_risk

    def __repr__(self) -> str:
        facts = f"reason_code=0x{self.reason_code:02X}, packet_id={self.packet_id}"
        if self.reason_string is not None:
            facts += f", reason_string={self.reason_string!r}"
        if self.user_properties:
            facts += f", user_properties={self.user_properties!r}"
        return f"<Published {facts}{', duplicate_risk' if self.duplicate_risk else ''}>"
