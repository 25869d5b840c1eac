"""Messages that began to wait for one session in the same frame: one row of a table holds them all.

A row of its own for each costs the writer three times as much as all that is else to be done for a message.
Most of them come in crowds and are over in crowds: then the row is put in once and removed once. In between
a second, short row tells which of them are over; one that changes, as when it is sent, gets a row of its own
and counts as over here.
"""

from __future__ import annotations

from typing import Final

from mqttwist.native import mypyc_attr

LEAST: Final = 4  # messages that make a batch: for fewer, rows of their own cost less in the end
MOST: Final = 128  # messages of a batch: what is not over keeps the others on the disk, and is lost with them


@mypyc_attr(acyclic=True)
class Batch:
    """What is known of a batch that is in a store: its key, and the places in it that are over.

    `position` is that of its first message, by which the store knows it. `spent` has a bit for each place
    that is over, the lowest for the first; `left` is how many are not. `is_told` says that there is a row
    about `spent`.
    """

    __slots__ = ("is_told", "left", "messages", "position", "spent")

    position: int
    messages: int
    spent: int
    left: int
    is_told: bool

    def __init__(self, position: int, messages: int) -> None:
        self.position = position
        self.messages = messages
        self.spent = 0
        self.left = messages
        self.is_told = False

    def spend(self, place: int) -> None:
        """The message at `place`, which was not over, is over."""
        self.spent |= 1 << place
        self.left -= 1
