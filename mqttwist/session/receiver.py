"""What the broker's routes lead to: something that takes messages."""

from __future__ import annotations

from abc import abstractmethod

from mqttwist.session.grant import Grant
from mqttwist.wire.message import Kept, Message


class Receiver:
    """Takes the messages of its subscriptions. `client_id` names it in logs."""

    __slots__ = ("client_id",)

    client_id: str

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id

    @abstractmethod
    def deliver(self, message: Message, grant: Grant) -> bool:
        """Send `message` as `grant` says, or keep it until it can be sent; False when it had to be dropped.

        Its QoS is the lower one of the message's and the grant's [MQTT-3.8.4-8].
        """

    @abstractmethod
    def replay(self, places: list[Kept], grant: Grant) -> None:
        """Keep retained messages, by their places, until they can be sent: because of a SUBSCRIBE (3.3.1.3).

        No limit holds for them, since the messages are kept anyway.
        """

    def withdraw_drop(self) -> None:
        """What `deliver` has just dropped and counted is no drop of this receiver: another is asked."""

    @property
    @abstractmethod
    def is_online(self) -> bool:
        """Whether there is a Network Connection, or whatever stands for it."""

    @property
    @abstractmethod
    def is_ready(self) -> bool:
        """Whether a message would be sent at once."""

    @property
    @abstractmethod
    def has_room(self) -> bool:
        """Whether a small message would be sent or kept, not dropped."""

    @property
    def is_recorded(self) -> bool:
        """Whether messages of QoS 1 and 2 for it survive the process."""
        return False

    def has_room_for(self, size: int) -> bool:
        """Whether a message of `size` bytes would be sent or kept without another having to go."""
        return self.has_room
