"""The real broker and the model side by side, and two clients: what Hypothesis may let happen."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from mqttwist.broker.broker import Broker
from mqttwist.session.session import NEVER as NO_EXPIRY
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.control import Disconnect, PingReq
from mqttwist.wire.message import Message
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions, Unsubscribe
from tests.broker.harness import START, RecordingObserver, TestClient
from tests.broker.model.client import Link, ModelClient
from tests.broker.model.messages import ModelMessage
from tests.broker.model.strategies import (
    ALL,
    EVERYTHING,
    SHARE,
    connects,
    filters,
    lasting_connects,
    mostly,
    names,
    publishes,
    qos_levels,
    seldom,
    sizes,
    subscribes,
)
from tests.broker.model.world import World

STEP = 1 / 512  # seconds that a step takes: hardly ever are two things due at once


class BrokerMachine(RuleBasedStateMachine):
    """Every step ends with a look at all that the broker has written, byte for byte and packet for packet."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(START)
        self.observer = RecordingObserver()
        self.broker = Broker(MemoryStore(), lambda: self.world.now, observer=self.observer)
        self.clients = [ModelClient("first"), ModelClient("second")]
        self.links: list[Link] = []
        self.payloads = 0
        self.is_sound = True  # no step has failed

    def payload(self) -> bytes:
        self.payloads += 1
        return b"%d" % self.payloads

    @initialize(
        both=lasting_connects(),
        topic_filters=st.tuples(filters, filters),
        qos=qos_levels,
        is_shared=st.booleans(),
    )
    def begin_both(
        self, both: list[Connect], topic_filters: tuple[str, str], qos: int, is_shared: bool
    ) -> None:
        """Both are there, with sessions that last, and have subscribed: else little would happen."""
        for who in (0, 1):
            self.begin(self.clients[who], both[who])
            wanted = {topic_filters[who], SHARE} if is_shared else {topic_filters[who]}
            self.subscribe(who, Subscribe(0, [SubscriptionOptions(one, qos) for one in sorted(wanted)]), True)

    # Coming and going

    @precondition(lambda self: any(client.link is None for client in self.clients))
    @rule(who=names, connect=connects())
    def connect(self, who: int, connect: Connect) -> None:
        client = self.clients[who] if self.clients[who].link is None else self.clients[1 - who]
        self.begin(client, connect)

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
        assert (connack.reason_code, connack.session_present) == (0, is_present), connack
        client.start(link, connect.version, is_present)

    @precondition(lambda self: any(client.link for client in self.clients))
    @rule(who=names, carried=st.integers(0, 60), is_told=mostly)
    def lose(self, who: int, carried: int, is_told: bool) -> None:
        """The network fails at any byte, both ways; the broker may learn of it much later, or never."""
        client, link = self.online(who)
        self.carry(link, carried)
        client.link = None
        link.is_heard = False
        if is_told and link in self.links:
            self.end(link)

    def end(self, link: Link) -> None:
        """The broker's transport is gone."""
        self.step()
        self.links.remove(link)
        assert link.view is not None
        self.world.leave(link.view, True)
        link.connection.lost("lost")
        self.check()

    @precondition(lambda self: any(not link.is_heard for link in self.links))
    @rule()
    def notice(self) -> None:
        """The broker learns that a client has gone."""
        self.end(next(link for link in self.links if not link.is_heard))

    @precondition(lambda self: any(client.link for client in self.clients))
    @rule(who=names, reason_code=st.sampled_from([0, 0, 4]), expiry=st.sampled_from([None, None, 0, 0, 50]))
    def disconnect(self, who: int, reason_code: int, expiry: int | None) -> None:
        client, link = self.online(who)
        self.carry(link, ALL)
        packet = Disconnect()
        if client.version == 5:
            packet.reason_code = reason_code
            if expiry == 0 or (link.view is not None and link.view.had_expiry):
                packet.properties = Properties(session_expiry_interval=expiry)
        client.write(packet)
        client.link = None
        self.carry(link, ALL)

    # What clients say

    @precondition(lambda self: any(client.link for client in self.clients))
    @rule(who=names, packet=subscribes(), at_once=mostly)
    def subscribe(self, who: int, packet: Subscribe, at_once: bool) -> None:
        client, link = self.online(who)
        packet.packet_id = client.packet_id()
        client.requests.add(packet.packet_id)
        client.write(packet)
        self.carry(link, ALL if at_once else 0)

    @precondition(lambda self: any(client.link for client in self.clients))
    @rule(who=names, topic_filter=filters, at_once=mostly)
    def unsubscribe(self, who: int, topic_filter: str, at_once: bool) -> None:
        client, link = self.online(who)
        packet = Unsubscribe(client.packet_id(), [topic_filter])
        client.requests.add(packet.packet_id)
        client.write(packet)
        self.carry(link, ALL if at_once else 0)

    @precondition(lambda self: any(client.link for client in self.clients))
    @rule(who=names, packets=publishes(), at_once=mostly)
    def publish(self, who: int, packets: list[Publish], at_once: bool) -> None:
        for packet in packets:
            packet.data = self.payload() if packet.data else b""
        self.publish_all(who, packets, at_once)

    def publish_all(self, who: int, packets: list[Publish], at_once: bool) -> None:
        client, link = self.online(who)
        if len(client.sending) < 12:  # there are few Packet Identifiers
            for packet in packets:
                client.publish(packet)
        self.carry(link, ALL if at_once else 0)

    @rule(
        who=st.sampled_from([0, 1, None]),
        qos=qos_levels,
        topic=st.sampled_from(["a", "a/b", "$s/b"]),
        count=st.integers(1, 4),
    )
    def publish_many(self, who: int | None, qos: int, topic: str, count: int) -> None:
        """Plain messages, one behind the other, of a client or from inside the process."""
        if who is not None and any(client.link for client in self.clients):
            self.publish_all(who, [Publish(topic, self.payload(), qos) for _ in range(count)], True)
            return
        for _ in range(count):
            self.step()
            message = Message(topic, self.payload(), qos)
            self.world.publish(ModelMessage(topic, message.payload, qos, False, ""))
            self.broker.publish(message)
            self.check()

    @precondition(lambda self: any(client.link and client.owed for client in self.clients))
    @rule(who=names, count=st.sampled_from([1, 2, 100, 100]), at_once=mostly)
    def acknowledge(self, who: int, count: int, at_once: bool) -> None:
        client, link = self.online(who)
        client.acknowledge(count)
        self.carry(link, ALL if at_once else 0)

    @precondition(
        lambda self: any(client.link and client.version < 5 and client.sending for client in self.clients)
    )
    @rule(who=names)
    def send_again(self, who: int) -> None:
        """Before MQTT 5.0 a client may send again what is unconfirmed, on the same connection."""
        client, link = self.online(who)
        if client.version < 5:
            client.send_again()
            self.carry(link, ALL)

    @rule(kind=st.sampled_from(["half", "retained", "ping"]), who=names, part=st.integers(0, 30))
    def do_something_else(self, kind: str, who: int, part: int) -> None:
        if kind == "half":
            self.half_connect(who, part)
        elif kind == "retained":
            self.look_at_retained()
        elif any(client.link for client in self.clients):
            client, link = self.online(who)
            client.write(PingReq())
            self.carry(link, ALL)

    def half_connect(self, who: int, part: int) -> None:
        """A connection that is lost before its CONNECT is whole does nothing to the session."""
        self.step()
        link = Link(self.broker, "half")
        connect = Connect(self.clients[who].name, 5, True, will=Will("a", b"half", 2, True)).encode()
        link.connection.receive_data(connect[: min(part, len(connect) - 1)])
        link.connection.lost("half of a CONNECT")
        assert link.transport.data == b""
        self.check()

    # Bytes

    @precondition(lambda self: any(client.link and client.link.up for client in self.clients))
    @rule(who=names, size=sizes)
    def carry_up(self, who: int, size: int) -> None:
        self.carry(self.online(who)[1], size)

    @precondition(lambda self: any(client.link and client.link.down for client in self.clients))
    @rule(who=names, size=sizes, refuse=seldom, answered=st.booleans())
    def carry_down(self, who: int, size: int, refuse: bool, answered: bool) -> None:
        client, link = self.online(who)
        client.receive(size, refuse)
        if answered:
            client.acknowledge(len(client.owed))
            self.carry(link, ALL)

    def online(self, who: int) -> tuple[ModelClient, Link]:
        """That client, or the other one if it has no connection."""
        client = self.clients[who] if self.clients[who].link else self.clients[1 - who]
        assert client.link is not None
        return client, client.link

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

    # Time

    @rule(seconds=st.sampled_from([1, 6, 21, 70, 400]))
    def wait(self, seconds: int) -> None:
        """Let time pass; the broker is told of it shortly before and after all that is due."""
        until = self.world.now + seconds
        while (due := self.world.next_due()) <= until:
            self.tick(max(due - STEP, self.world.now))
            self.tick(due)
        self.tick(until)
        self.broker.send_overdue()
        self.check()

    def tick(self, now: float) -> None:
        self.world.now = now
        self.is_sound = False
        self.world.tick()
        self.broker.tick()
        self.check()

    def step(self) -> None:
        self.world.now += STEP
        self.is_sound = False

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
        assert not self.observer.of("dropped") or self.may_drop()
        self.observer.events = [one for one in self.observer.events if one[0] == "will_published"]
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

    def teardown(self) -> None:
        """Both come back and everything is carried to and fro: all that had to arrive has arrived."""
        if not self.is_sound:
            return
        for client in self.clients:
            if client.link is None:
                properties = Properties(session_expiry_interval=NO_EXPIRY, receive_maximum=2)
                self.begin(client, Connect(client.name, 5, False, properties=properties))
        for _ in range(1000):
            if not any(
                client.link and (client.link.up or client.link.down or client.owed) for client in self.clients
            ):
                break
            for client in self.clients:
                if client.link is not None:
                    self.carry(client.link, ALL)
                    client.receive(ALL, False)
                    client.acknowledge(len(client.owed))
        self.check_finished()
        self.look_at_retained()

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
        """QoS 1 at least once, QoS 2 exactly once, at the client."""
        for client in self.clients:
            mine = [one for name, one in self.world.completed if name == client.name]
            for delivery in mine:
                key = delivery.message.payload, delivery.qos
                alike = [one for one in mine if (one.message.payload, one.qos) == key]
                assert client.taken[key] >= len(alike), f"{delivery} never came to {client.name}"
