"""The client of the core joined to the broker of the core, by lines that may break at any byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mqttwist.broker.broker import Broker
from mqttwist.broker.settings import Settings
from mqttwist.client.client import Client
from mqttwist.client.publication import Publication
from mqttwist.client.received import ACCEPTED, LEFT, Received
from mqttwist.client.settings import ClientSettings
from mqttwist.client.subscriptions import Subscriber
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.message import Message
from mqttwist.wire.subscribe import SubscriptionOptions
from tests.client.rig import Owner, Time


class LineEnd:
    """What one side writes to; the other side gets it when the test says so."""

    def __init__(self) -> None:
        self.on_the_way = b""
        self.is_closed = False
        self.is_reading = True

    def write(self, data: bytes) -> None:
        assert not self.is_closed, "written after the close"
        self.on_the_way += data

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True


class Line:
    """One Network Connection. Each side learns for itself that it is over."""

    def __init__(self, client: Client, broker: Broker) -> None:
        self._client = client
        self.our_end = LineEnd()
        self.broker_end = LineEnd()
        self.broker_connection = broker.connect(self.broker_end, "client")
        self.client_knows = self.broker_knows = False  # that it is over
        self.connection = client.open(self.our_end, "broker")

    def carry_up(self, size: int) -> None:
        """The broker reads so many bytes of what the client has written, or that it is over."""
        if self.broker_knows or not self.broker_end.is_reading:
            return
        data, self.our_end.on_the_way = self.our_end.on_the_way[:size], self.our_end.on_the_way[size:]
        if data:
            self.broker_connection.receive_data(data)
        elif self.our_end.is_closed:
            self.broker_loses()

    def carry_down(self, size: int) -> None:
        """The client reads so many bytes of what the broker has written, or that it is over."""
        if self.client_knows or not self.our_end.is_reading:
            return
        data, self.broker_end.on_the_way = (
            self.broker_end.on_the_way[:size],
            self.broker_end.on_the_way[size:],
        )
        if data:
            self.connection.receive_data(data)
            self._client.settle()
        elif self.broker_end.is_closed:
            self.client_loses()

    def client_loses(self) -> None:
        """The client learns that the line is broken; what is on the way to it is lost."""
        if not self.client_knows:
            self.client_knows = True
            self.connection.lost("broken")
            self._client.settle()

    def broker_loses(self) -> None:
        """The same for the broker."""
        if not self.broker_knows:
            self.broker_knows = True
            self.broker_connection.lost("broken")

    @property
    def is_over(self) -> bool:
        return self.client_knows and self.broker_knows


class Joined:
    """A client that subscribes to all that it publishes itself, and keeps what came of everything."""

    def __init__(self, version: int, qos: int, receive_maximum: int, broker_settings: Settings) -> None:
        self.time = Time()
        self.broker = Broker(MemoryStore(), self.time, broker_settings)
        self.owner = Owner()
        settings = ClientSettings(
            "us",
            (version,),
            session_expiry_interval=0xFFFFFFFF,
            receive_maximum=receive_maximum,
            topic_alias_maximum=2,
            keep_alive=0,
        )
        self.client = Client(settings, self.time, self.owner, lambda: None)
        self.lines: list[Line] = []
        self.published: list[Publication] = []
        self.ended: list[Publication] = []
        self.held: list[Received] = []  # with the application
        self.accepted: list[Received] = []
        self.came: list[Received] = []
        self.subscribers = [self.subscribe("+", qos)]

    # The application

    def subscribe(self, topic_filter: str, qos: int) -> Subscriber:
        holder: list[Subscriber] = []

        def wake() -> None:
            while (received := holder[0].next()) is not None:
                self.came.append(received)
                self.held.append(received)

        holder.append(self.client.subscribe(SubscriptionOptions(topic_filter, qos), wake, 1000))
        return holder[0]

    def publish(self, topic_name: str, qos: int) -> None:
        message = Message.create(topic_name, b"%d" % len(self.published), qos)
        publication = Publication(message, self.ended.append)
        self.published.append(publication)
        self.client.publish(publication)

    def decide(self, index: int, verdict: int) -> None:
        """The application is done with one of the messages that it has."""
        if not self.held:
            return
        received = self.held.pop(index % len(self.held))
        if verdict == LEFT:
            received.leave()
        elif verdict == ACCEPTED:
            self.accepted.append(received)
            received.ack()
        self.client.settle()

    # The network

    @property
    def line(self) -> Line | None:
        """The one that the client has, if it has one."""
        return self.lines[-1] if self.lines and not self.lines[-1].client_knows else None

    def connect(self) -> Line:
        line = self.line
        if line is None:
            line = Line(self.client, self.broker)
            self.lines.append(line)
        return line

    def on_line(self, act: Callable[[Line], Any]) -> None:
        """Have `act` called with each line that is not over on both sides."""
        for line in self.lines:
            act(line)
        self.lines = [one for one in self.lines if not one.is_over]

    def advance(self, seconds: float) -> None:
        self.time.now += seconds
        self.client.tick()
        self.client.settle()
        self.broker.tick()
        self.broker.send_overdue()

    def finish(self) -> None:
        """The network holds from now on, and the application accepts all: until nothing happens any more."""
        for _ in range(2):  # what was left comes on the next connection
            self.on_line(Line.client_loses)
            self.on_line(Line.broker_loses)
            self.connect()
            for _ in range(1000):
                before = self._progress()
                self.on_line(lambda line: line.carry_up(1 << 20))
                self.on_line(lambda line: line.carry_down(1 << 20))
                while self.held:
                    self.decide(0, ACCEPTED)
                if self._progress() == before:
                    break
            else:
                raise AssertionError("it never ends")

    def _progress(self) -> tuple[int, int]:
        metrics = self.client.metrics
        return metrics.bytes_received, metrics.bytes_sent
