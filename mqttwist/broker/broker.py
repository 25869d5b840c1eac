"""The broker: one object that holds all parts of the core and is told the time.

`broker.connect(transport, peer)` is called when a Network Connection was made, `connection.receive_data`
when something was read from it, and `broker.tick` about once a second.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from mqttwist.broker.connection import ServerConnection
from mqttwist.broker.doors import Login, Observer, SilentObserver
from mqttwist.broker.router import Router
from mqttwist.broker.sessions import Sessions
from mqttwist.broker.settings import Settings
from mqttwist.session.connection import Trace, Transport
from mqttwist.session.deadlines import Deadlines
from mqttwist.session.metrics import Drops, Metrics
from mqttwist.session.receiver import Receiver
from mqttwist.session.session import Subscription
from mqttwist.session.store import Store
from mqttwist.session.turn import Turn
from mqttwist.session.waiting import QueueLimits
from mqttwist.wire.connect import Connect
from mqttwist.wire.message import Message
from mqttwist.wire.subscribe import SubscriptionOptions
from mqttwist.wire.topics import check_topic_filter


def accept_everybody(connection: ServerConnection, connect: Connect) -> None:
    """The login where nobody has to say who they are."""
    connection.accept(None)


def _new_client_id() -> str:
    return f"mqttwist-{uuid4().hex}"


class Broker:
    """`clock` answers seconds from any origin; `new_client_id` makes the ids that clients are assigned."""

    __slots__ = (
        "_connections", "_refused", "deadlines", "drops", "login", "metrics", "new_client_id", "observer",
        "router", "sessions", "settings", "store", "trace", "turn",
    )  # fmt: skip

    settings: Settings
    store: Store
    observer: Observer
    login: Login
    trace: Trace | None
    new_client_id: Callable[[], str]
    turn: Turn
    metrics: Metrics
    drops: Drops
    deadlines: Deadlines
    router: Router
    sessions: Sessions
    _connections: set[ServerConnection]
    _refused: dict[tuple[str, int], tuple[int, str]]  # (client id, Reason Code): how many, the last topic

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        settings: Settings | None = None,
        login: Login = accept_everybody,
        observer: Observer | None = None,
        trace: Trace | None = None,
        new_client_id: Callable[[], str] = _new_client_id,
    ) -> None:
        self.settings = settings or Settings()
        self.store = store
        self.observer = observer or SilentObserver()
        self.login = login
        self.trace = trace
        self.new_client_id = new_client_id
        self.turn = Turn(clock, store.journal)
        self.metrics = Metrics()
        self.drops = Drops()
        self.deadlines = Deadlines()
        self._connections = set()
        self._refused = {}
        limits = QueueLimits(
            self.settings.queue_messages, self.settings.queue_bytes, self.settings.queue_qos_0 == 1
        )
        self.router = Router(store, self.turn, self.deadlines, self.drops, self.settings.maximum_retained)
        self.sessions = Sessions(
            self.router, store, self.turn, self.deadlines, self.observer, self.drops, limits
        )
        if store.is_open:
            self.restore()

    # What was stored

    def restore(self) -> None:
        """Take up what the store has kept, and do what came due while no broker ran. One turn.

        Call it once, when the store was opened, unless that was so from the beginning.
        """
        self.turn.begin()
        self.router.restore_retained()
        self.sessions.restore()
        self.tick()

    def stored(self, frame: int) -> None:
        """All frames of the journal up to `frame` are stored: what has waited for that goes out. One turn."""
        journal = self.turn.journal
        if journal is not None:
            journal.committed(frame, self.turn.begin())
            self.turn.end()

    # Connections

    def connect(self, transport: Transport, peer: str) -> ServerConnection:
        """A Network Connection was made by `peer`, which is only a name for the log."""
        self.turn.begin()
        connection = ServerConnection(self, transport, peer)
        self._connections.add(connection)
        self.metrics.connections_opened += 1
        return connection

    def disconnected(self, connection: ServerConnection) -> None:
        """A Network Connection is gone."""
        self._connections.discard(connection)

    @property
    def connection_count(self) -> int:
        """How many Network Connections there are, those without a CONNECT included."""
        return len(self._connections)

    def shut_down(self) -> None:
        """Say goodbye to every client (0x8B) and close; sessions stay as far as the store keeps them."""
        self.turn.begin()
        for connection in list(self._connections):
            connection.shut_down()
        self.turn.end()
        self.report()

    # Time

    def tick(self) -> None:
        """Do what is due: keep alive, timeouts, expiry, wills. Call it about once a second."""
        self.deadlines.tick(self.turn.begin())
        self.turn.end()
        self.report()

    def send_overdue(self) -> None:
        """Send again what 3.x clients have not acknowledged for `retry_interval`: to be called often."""
        if self.settings.retry_interval == 0:
            return
        self.turn.begin()
        for connection in self.sessions.connections():
            connection.send_overdue(self.settings.retry_interval)
        self.turn.end()

    def publish_refused(self, client_id: str, topic_name: str, reason_code: int) -> None:
        """Count a message that was not accepted: a client that goes on for ever makes one line a second."""
        key = (client_id, reason_code)
        messages = self._refused[key][0] if key in self._refused else 0
        self._refused[key] = (messages + 1, topic_name)

    def report(self) -> None:
        """Tell the observer what was dropped and what was not accepted since the last report."""
        for client_id, reason, messages in self.drops.take():
            self.observer.dropped(client_id, reason, messages)
        refused, self._refused = self._refused, {}
        for (client_id, reason_code), (messages, topic_name) in refused.items():
            self.observer.publish_refused(client_id, topic_name, reason_code, messages)

    # In-process use

    def publish(self, message: Message) -> bool:
        """Publish `message` from inside the process; False when no subscription matches. One turn."""
        self.turn.begin()
        matched = self.router.publish(message, None)
        self.turn.end()
        return matched

    def subscribe(self, receiver: Receiver, options: SubscriptionOptions) -> None:
        """Subscribe something inside the process, and send it the retained messages as `options` ask for.

        Raises `ValueError` for a Topic Filter that is none.
        """
        check_topic_filter(options.topic_filter)
        self.turn.begin()
        subscription = Subscription(options)
        self.router.subscriptions.begin_changes()
        is_new = self.router.subscriptions.add(receiver, subscription)
        if self.router.wants_retained(options, is_new):
            self.router.replay(receiver, subscription)
        self.turn.end()

    def unsubscribe(self, receiver: Receiver, topic_filter: str) -> bool:
        """Undo `subscribe`; False when there is no such subscription."""
        self.router.subscriptions.begin_changes()
        return self.router.subscriptions.remove(receiver, topic_filter)
