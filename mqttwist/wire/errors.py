"""What is wrong with the bytes of a peer: each error carries a Reason Code and the clause that was broken.

They are raised where the fault is seen and caught in one place, the loop of the connection, which knows what
each protocol version is told (4.13). A caller's mistake is a `ValueError` instead.
"""

from __future__ import annotations

from mqttwist.wire.enums import ReasonCode


class MQTTError(Exception):
    """A fault of the peer.

    `reason_code` is what MQTT 5.0 names it, `text` says what was wrong in words fit for a Reason String,
    `clause` is the normative statement (``MQTT-3.3.1-4``) or, where there is none, the section (``2.2.2.2``).
    """

    def __init__(self, reason_code: int, text: str, clause: str) -> None:
        super().__init__(reason_code, text, clause)
        self.reason_code = reason_code
        self.text = text
        self.clause = clause

    def __str__(self) -> str:
        return f"{self.text} (0x{self.reason_code:02X}) [{self.clause}]"


class MalformedPacket(MQTTError):
    """The bytes cannot be parsed according to the specification (1.2, 4.13.1): Reason Code 0x81."""

    def __init__(self, text: str, clause: str) -> None:
        super().__init__(ReasonCode.MALFORMED_PACKET.value, text, clause)

    def __reduce__(self) -> tuple[type[MalformedPacket], tuple[str, str]]:
        return (MalformedPacket, (self.text, self.clause))


class ProtocolError(MQTTError):
    """The bytes can be parsed, but what they say is not allowed (1.2, 4.13.1)."""
