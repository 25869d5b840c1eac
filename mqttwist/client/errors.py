"""What a client's calls fail with. A fault in the bytes of the Server is an `MQTTError` of `wire` instead."""

from __future__ import annotations

from mqttwist.wire.enums import reason_name


class ClientError(Exception):
    """What all of them are."""


class NotDelivered(ClientError):
    """A message was given up before the Server had confirmed it.

    `maybe` says whether the Server may have it all the same: whether it was sent at some time. `cause` is
    why, in words. With `stored` it is given up by this process only: it is in the client's store, and who
    opens that next sends it.
    """

    def __init__(self, cause: str, maybe: bool, stored: bool = False) -> None:
        super().__init__(cause, maybe, stored)
        self.cause = cause
        self.maybe = maybe
        self.stored = stored

    def __str__(self) -> str:
        end = ", and it is stored" if self.stored else ""
        return f"{self.cause}; the Server {'may have it' if self.maybe else 'does not have it'}{end}"


class QueueFull(ClientError):
    """The queue of what can't be sent yet has no room for a message."""


class Refused(ClientError):
    """The Server said no: `reason_code` (0x80 and above), and in MQTT 5.0 perhaps why.

    `user_properties` are those of the packet that said so. The classes below say what was refused, each by
    itself: a compiled class that is an exception can call no method that another overrides.
    """

    def __init__(
        self,
        reason_code: int,
        reason_string: str | None = None,
        user_properties: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(reason_code, reason_string, user_properties)
        self.reason_code = reason_code
        self.reason_string = reason_string
        self.user_properties = user_properties

    def __str__(self) -> str:
        return _refusal("the request", self)


class PublishRefused(Refused):
    """A message was answered by a PUBACK or PUBREC of 0x80 and above."""

    def __str__(self) -> str:
        return _refusal("the message", self)


class SubscribeRefused(Refused):
    """A subscription, or its end, was refused."""

    def __str__(self) -> str:
        return _refusal("the subscription", self)


class ConnectRefused(Refused):
    """CONNACK said no; before MQTT 5.0 `reason_code` is the nearest one of MQTT 5.0.

    `server_reference` is where to go instead, if the Server said so (4.13).
    """

    server_reference: str | None

    def __init__(
        self,
        reason_code: int,
        reason_string: str | None = None,
        user_properties: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(reason_code, reason_string, user_properties)
        self.server_reference = None

    def __str__(self) -> str:
        return _refusal("the connection", self)


def code_and_name(code: int) -> str:
    """A Reason Code as people look for it: ``0x85, Client identifier not valid``."""
    name = reason_name(code)
    return f"0x{code:02X}, {name}" if not name.startswith("0x") else name


def _refusal(what: str, refused: Refused) -> str:
    said = f": {refused.reason_string}" if refused.reason_string else ""
    return f"{what} was refused with {code_and_name(refused.reason_code)}{said}"


class ConnectionEnded(ClientError):
    """The Network Connection has ended.

    `reason_code` is that of the DISCONNECT that ended it, ours or the Server's; 0 where there was none.
    """

    def __init__(
        self, cause: str, reason_code: int = 0, from_server: bool = False, server_reference: str | None = None
    ) -> None:
        super().__init__(cause, reason_code, from_server, server_reference)
        self.cause = cause
        self.reason_code = reason_code
        self.from_server = from_server
        self.server_reference = server_reference

    def __str__(self) -> str:
        return f"{self.cause} ({code_and_name(self.reason_code)})" if self.reason_code else self.cause


class NotSupportedByServer(ClientError):
    """CONNACK said that the Server does not do this; `property` is the property that said so (3.2.2.3)."""

    def __init__(self, property: str, text: str) -> None:
        super().__init__(property, text)
        self.property = property
        self.text = text

    def __str__(self) -> str:
        return f"{self.text} ({self.property})"


class NeedsMQTT5(ValueError):
    """Something that there is not before MQTT 5.0 was asked of a client that speaks an older version."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs MQTT 5.0")
        self.what = what
