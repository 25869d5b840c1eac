"""What the broker tells of itself under `$SYS/broker/`, in the topics that Mosquitto's operators know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mqttwist import __version__
from mqttwist.wire.message import Message

if TYPE_CHECKING:
    from mqttwist.broker.broker import Broker

SYS_PREFIX: Final = "$SYS/"


def is_protected(topic_name: str, client_id: str) -> bool:
    """Whether a client must not publish to `topic_name`: all of `$SYS` is the broker's own.

    But for one: a bridge of Mosquitto says in `$SYS/broker/connection/{client id}/state` whether it is up.
    """
    if not topic_name.startswith(SYS_PREFIX):
        return topic_name == "$SYS"  # which `$SYS/#` matches too (4.7.1.2)
    return topic_name != f"{SYS_PREFIX}broker/connection/{client_id}/state"


class SysTopics:
    """Publishes figures as retained messages, each only when it has changed."""

    __slots__ = ("_broker", "_published", "_started")

    _broker: Broker
    _published: dict[str, str]
    _started: float

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._published = {}
        self._started = broker.turn.now

    def publish(self) -> int:
        """Publish what has changed since the last time; answers how many figures that was. One turn."""
        turn = self._broker.turn
        turn.begin()
        changed = 0
        for name, value in self.figures().items():
            if self._published.get(name) != value:
                self._published[name] = value
                changed += 1
                message = Message(f"{SYS_PREFIX}broker/{name}", value.encode(), 0, True)
                self._broker.router.publish(message, None)
        turn.end()
        return changed

    def figures(self) -> dict[str, str]:
        """All figures by the last part of their topic."""
        broker = self._broker
        metrics = broker.metrics
        sessions = len(broker.sessions)
        connected = broker.sessions.connected
        return {
            "version": f"mqttwist {__version__}",
            "uptime": f"{broker.turn.now - self._started:.0f} seconds",
            "clients/total": str(sessions),
            "clients/connected": str(connected),
            "clients/disconnected": str(sessions - connected),
            "subscriptions/count": str(broker.router.subscriptions.count),
            "shared_subscriptions/count": str(broker.router.subscriptions.shared_count),
            "retained messages/count": str(len(broker.router.retained)),
            "messages/received": str(metrics.messages_received),
            "messages/sent": str(metrics.messages_sent),
            "publish/messages/received": str(metrics.publishes_received),
            "publish/messages/sent": str(metrics.publishes_sent),
            "publish/messages/dropped": str(broker.drops.total),
            "bytes/received": str(metrics.bytes_received),
            "bytes/sent": str(metrics.bytes_sent),
            "connections/opened": str(metrics.connections_opened),
            "connections/refused": str(metrics.connections_refused),
            "errors/protocol": str(metrics.protocol_errors),
        }
