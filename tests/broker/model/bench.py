"""The real broker and the model side by side, and two clients: what steps are made of, and what must hold."""

from __future__ import annotations

from collections import Counter

from hypothesis.stateful import RuleBasedStateMachine

from mqttwist.broker.broker import Broker
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.publish import Publish
from tests.broker.harness import START, RecordingObserver, TestClient
from tests.broker.model.client import Link, ModelClient
from tests.broker.model.messages import Delivery
from tests.broker.model.strategies import EVERYTHING
from tests.broker.model.world import World

STEP = 1 / 512  # seconds that a step takes: hardly ever are two things due at once


def count_deliveries(deliveries: list[tuple[str, Delivery]], client_id: str) -> Counter[tuple[bytes, int]]:
    """How many went to a client, by payload and QoS."""
    return Counter((one.message.payload, one.qos) for name, one in deliveries if name == client_id)


class Bench(RuleBasedStateMachine):
    """Every step ends with a look at all that the broker has written, byte for byte and packet for packet."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(START)
        self.observer = RecordingObserver()
        self.store = MemoryStore()
        self.broker = self.start_broker()
        self.clients = [ModelClient("first"), ModelClient("second")]
        self.links: list[Link] = []
        self.payloads = 0
        self.is_sound = True  # no step has failed

    def start_broker(self) -> Broker:
        return Broker(self.store, lambda: self.world.now, observer=self.observer)

    def payload(self) -> bytes:
        self.payloads += 1
        return b"%d" % self.payloads

    # Connections

    def begin(self, client: ModelClient, connect: Connect) -> None:
        """Connect; the client always gets the CONNACK, what follows it is under way."""
        self.step()
        connect.client_id = client.name
        if connect.will is not None:
            connect.will.payload = self.payload()
        link = Link(self.broker, client.name)
        view, is_present = self.world.connect(connect)
        link.begin(view)
        view.owe(ConnAck, 0, {0})
        self.links.append(link)
        link.connection.receive_data(connect.encode())
        length = 2 + link.transport.data[1]
        self.check()
        self.world.check_offered(view)
        connack = link.take_down(length)[0]
        assert isinstance(connack, ConnAck), connack
        is_told = is_present and connect.version > 3  # there is no such flag in 3.1: its client just knows
        assert (connack.reason_code, link.transport.data[2]) == (0, is_told), connack
        client.start(link, connect.version, is_present)

    def half_connect(self, who: int, part: int) -> None:
        """A connection that is lost before its CONNECT is whole does nothing to the session."""
        self.step()
        link = Link(self.broker, "half")
        connect = Connect(self.clients[who].name, 5, True, will=Will("a", b"half", 2, True)).encode()
        link.connection.receive_data(connect[: min(part, len(connect) - 1)])
        link.connection.lost("half of a CONNECT")
        assert link.transport.data == b""
        self.check()

    def end(self, link: Link) -> None:
        """The broker's transport is gone."""
        self.step()
        self.links.remove(link)
        assert link.view is not None
        self.world.leave(link.view, True)
        link.connection.lost("lost")
        self.check()

    def restart(self) -> None:
        """The broker shuts down, and another one goes on with its store."""
        self.step()
        self.world.tick()
        self.broker.tick()
        self.check()
        self.broker.shut_down()
        self.world.shut_down([client_id for client_id, _ in self.observer.of("disconnected")])
        self.check()
        assert not self.links
        self.broker = self.start_broker()
        self.check()

    def fill(self, link: Link, is_full: bool) -> None:
        """The broker's transport takes no more, or does again: then all that has waited goes out."""
        self.step()
        assert link.view is not None
        link.view.is_full = is_full
        link.fill(is_full)
        self.check()

    def online(self, who: int) -> tuple[ModelClient, Link]:
        """That client, or the other one if it has no connection."""
        client = self.clients[who] if self.clients[who].link else self.clients[1 - who]
        assert client.link is not None
        return client, client.link

    # Bytes and time

    def carry(self, link: Link, size: int) -> None:
        """Let the broker have the next bytes."""
        self.step()
        view = link.view
        data, packets = link.take_up(size)
        if not data or view is None:
            self.is_sound = True
            return
        view.last_received = self.world.now
        for packet in packets:
            self.world.received(view, packet)
        link.connection.receive_data(data)
        self.check()

    def step(self) -> None:
        self.world.now += STEP
        self.is_sound = False

    def tick(self, now: float) -> None:
        self.world.now = now
        self.is_sound = False
        self.world.tick()
        self.broker.tick()
        self.check()

    # What must hold

    def check(self) -> None:
        """All that was written must have been allowed, and all that had to be written must be there."""
        self.world.purge()
        for link in list(self.links):
            self.look(link)
            self.check_end(link)
        self.world.settle()
        faults = self.observer.of("faulted")
        assert not faults, faults
        assert self.observer.of("will_published") == self.world.wills
        ended = [name for name, _ in self.observer.of("session_ended") if name != "probe"]
        assert ended == self.world.ended
        assert not self.observer.of("dropped") or self.may_drop()
        kept = ("will_published", "session_ended")
        self.observer.events = [one for one in self.observer.events if one[0] in kept]
        self.is_sound = True

    def may_drop(self) -> bool:
        """Nothing is dropped but what expires, is refused or has nobody left."""
        allowed = {"message expired", "refused by the client", "session ended"}
        allowed.add("no member of the shared subscription can take it")
        return {reason for _, reason, _ in self.observer.of("dropped")} <= allowed

    def look(self, link: Link) -> None:
        """Hold what the broker has written to the model."""
        view = link.view
        assert view is not None
        for packet in link.written(view.version):
            view.sent(packet, self.world.now)

    def check_end(self, link: Link) -> None:
        """A connection is closed when it must be, with a last word to 5.0 clients [MQTT-3.14.4-1]."""
        view = link.view
        assert view is not None
        assert link.is_closed == (view.close_code is not None), view.close_code
        if link.is_closed:
            assert view.version < 5 or view.close_code == 0, f"no DISCONNECT 0x{view.close_code:x}"
            self.links.remove(link)
            for client in self.clients:
                if client.link is link:
                    client.link = None

    def probe(self) -> dict[str, tuple[bytes, int]]:
        """What somebody is sent who subscribes to everything now."""
        probe = TestClient(self.broker, 5)
        probe.connect("probe")
        probe.subscribe(*EVERYTHING, qos=2)
        found = [packet for packet in probe.take() if isinstance(packet, Publish)]
        assert all(packet.retain for packet in found)  # [MQTT-3.3.1-8]
        for packet in found:
            retained = self.world.retained[packet.topic_name]
            assert retained.has_left(packet.message_expiry_interval, self.world.now), (retained, packet)
        probe.disconnect()
        assert len({packet.topic_name for packet in found}) == len(found)
        return {packet.topic_name: (packet.payload, packet.qos) for packet in found}

    def look_at_retained(self) -> None:
        """The retained messages are the model's (3.3.1.3)."""
        self.tick(self.world.now + STEP)
        expected = {one.topic: (one.payload, one.qos) for one in self.world.retained.values()}
        assert self.probe() == expected
        self.check()

    def check_finished(self) -> None:
        self.world.purge()
        for client in self.clients:
            session = self.world.sessions[client.name]
            assert not client.sending, f"never confirmed: {client.sending}"
            assert not session.in_flight and not session.unreleased and not client.unreleased
            assert not [one for one in session.waiting if not one.may_be_left_out]
        stranded = [one for one in self.world.pool if one.message.qos and not one.may_be_left_out]
        assert not stranded, f"never sent to a member: {stranded}"
        self.check_taken()

    def check_taken(self) -> None:
        """What a client has confirmed, it had: QoS 1 at least once, QoS 2 exactly once.

        It may have had more at QoS 2 than it has confirmed, when its session ended in between; but not more
        than was sent.
        """
        for client in self.clients:
            begun = count_deliveries(self.world.begun, client.name)
            for key, count in count_deliveries(self.world.completed, client.name).items():
                assert client.taken[key] >= count, f"{key} did not come to {client.name} {count} times"
            for key, count in client.taken.items():
                assert key[1] < 2 or count <= begun[key], f"{key} came to {client.name} {count} times"
