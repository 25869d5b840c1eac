"""A receiver for tests of routing: says what it is told to say of itself, and keeps what it gets.

Where `mqttwist.session` is compiled there can be none: plain classes do not inherit from native ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from mqttwist.session.grant import Grant
from mqttwist.session.receiver import Receiver
from mqttwist.wire.message import Kept, Message


@dataclass
class Taken:
    """The arguments of one `deliver`."""

    message: Message
    grant: Grant


class RecordingReceiver(Receiver):
    """Online, ready and with room, unless told otherwise; `accepts` is what `deliver` answers."""

    def __init__(self, client_id: str) -> None:
        super().__init__(client_id)
        self.taken: list[Taken] = []
        self.online = True
        self.ready = True
        self.room = True
        self.accepts = True

    def replay(self, places: list[Kept], grant: Grant) -> None:
        self.taken += [Taken(kept.message, grant) for kept in places if kept.message is not None]

    def deliver(self, message: Message, grant: Grant) -> bool:
        self.taken.append(Taken(message, grant))
        return self.accepts

    @property
    def is_online(self) -> bool:
        return self.online

    @property
    def is_ready(self) -> bool:
        return self.ready and self.online

    @property
    def has_room(self) -> bool:
        return self.room
