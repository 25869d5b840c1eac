"""What a command ends with when it can't do what it was asked for."""

from __future__ import annotations

from mqttwist.client.errors import ConnectRefused
from mqttwist.front.retry import words
from mqttwist.wire.enums import reason_name
from mqttwist.wire.packet import MQTT_5
from mqttwist.wire.reasons import return_code

# Exit statuses: those of Mosquitto's commands, and of a shell for a program that a signal has ended.
DONE = 0
FAILED = 1
CONNECTION_LOST = 7
TIMED_OUT = 27
INTERRUPTED = 130
PIPE_CLOSED = 141


class Fault(Exception):
    """One line for the standard error, and the exit status."""

    def __init__(self, text: str, status: int = FAILED) -> None:
        super().__init__(text, status)
        self.text = text
        self.status = status

    def __str__(self) -> str:
        return self.text


def fault_of(error: BaseException, version: int) -> Fault:
    """What to say of an error of the client. A refused connection has the Server's code for its status.

    In MQTT 5.0 that is the Reason Code, before it the return code (3.1.1: 3.2.2.3).
    """
    if isinstance(error, Fault):
        return error
    if isinstance(error, ConnectRefused):
        code = error.reason_code if version == MQTT_5 else return_code(error.reason_code)
        said = f": {error.reason_string}" if error.reason_string else ""
        return Fault(f"Connection error: {reason_name(error.reason_code)}{said}", code)
    return Fault(f"Error: {words(error)}")
