"""What Hypothesis may let happen to two clients, the network between and the broker, in any order."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from mqttwist.session.session import NEVER as NO_EXPIRY
from mqttwist.wire.connect import Connect
from mqttwist.wire.control import Disconnect, PingReq
from mqttwist.wire.message import Message
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions, Unsubscribe
from tests.broker.model.bench import STEP, Bench
from tests.broker.model.messages import ModelMessage
from tests.broker.model.strategies import (
    ALL,
    SHARE,
    connects,
    filters,
    lasting_connect,
    lasting_connects,
    mostly,
    names,
    publishes,
    qos_levels,
    seldom,
    sizes,
    subscribes,
)


class BrokerMachine(Bench):
    """What clients and networks do."""

    is_shared = False  # whether it is all about a Shared Subscription of both clients

    @initialize(
        both=lasting_connects(),
        topic_filters=st.tuples(filters, filters),
        qos=qos_levels,
        is_shared=seldom,
    )
    def begin_both(
        self, both: list[Connect], topic_filters: tuple[str, str], qos: int, is_shared: bool
    ) -> None:
        """Both are there, with sessions that last, and have subscribed: else little would happen."""
        for who in (0, 1):
            self.begin(self.clients[who], both[who])
            wanted = {topic_filters[who], SHARE} if is_shared or self.is_shared else {topic_filters[who]}
            self.subscribe(who, Subscribe(0, [SubscriptionOptions(one, qos) for one in sorted(wanted)]), True)

    # Coming and going

    @precondition(lambda self: any(client.link is None for client in self.clients))
    @rule(who=names, connect=connects())
    def connect(self, who: int, connect: Connect) -> None:
        client = self.clients[who] if self.clients[who].link is None else self.clients[1 - who]
        self.begin(client, connect)

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

    @precondition(lambda self: any(client.link for client in self.clients))
    @rule(
        who=names,
        carried=sizes,
        is_told=st.booleans(),
        receive_maximum=st.sampled_from([None, 1, 1, 2]),
        has_will=st.booleans(),
        clean_start=seldom,
    )
    def come_back(
        self,
        who: int,
        carried: int,
        is_told: bool,
        receive_maximum: int | None,
        has_will: bool,
        clean_start: bool,
    ) -> None:
        """The network fails for a moment; without `is_told` the new connection takes over."""
        client, _ = self.online(who)
        self.lose(self.clients.index(client), carried, is_told)
        connect = lasting_connect(client.version, receive_maximum, has_will)
        connect.clean_start = clean_start
        self.begin(client, connect)

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
        own = []
        for one in packets:
            packet = Publish(one.topic_name, self.payload() if one.payload else b"", one.qos, one.retain)
            packet.message_expiry_interval = one.message_expiry_interval
            own.append(packet)
        self.publish_all(who, own, at_once)

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
        topic = "$s/b" if self.is_shared else topic
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

    @rule(kind=st.sampled_from(["half", "retained", "ping", "restart"]), who=names, part=st.integers(0, 30))
    def do_something_else(self, kind: str, who: int, part: int) -> None:
        if kind == "half":
            self.half_connect(who, part)
        elif kind == "retained":
            self.look_at_retained()
        elif kind == "restart":
            self.restart()
        elif any(client.link for client in self.clients):
            client, link = self.online(who)
            client.write(PingReq())
            self.carry(link, ALL)

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

    @precondition(lambda self: any(client.link and client.link.down for client in self.clients))
    @rule(who=names, refuse=st.booleans())
    def exchange(self, who: int, refuse: bool) -> None:
        """The client reads all that there is, and answers it."""
        self.carry_down(who, ALL, refuse, True)

    @precondition(lambda self: any(client.link for client in self.clients))
    @rule(who=names, qos=qos_levels, count=st.integers(0, 3), at_once=st.booleans())
    def fill_up(self, who: int, qos: int, count: int, at_once: bool) -> None:
        """A transport takes no more, and messages come all the same; `at_once`: then it takes them."""
        _, link = self.online(who)
        self.fill(link, True)
        self.publish_many(None, qos, "a", count)
        if at_once and link in self.links:
            self.fill(link, False)

    @precondition(lambda self: any(link.is_full for link in self.links))
    @rule()
    def drain(self) -> None:
        """A transport takes data again."""
        self.fill(next(link for link in self.links if link.is_full), False)

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

    def teardown(self) -> None:
        """Both come back and everything is carried to and fro: all that had to arrive has arrived."""
        if not self.is_sound:
            return
        for client in self.clients:
            if client.link is None:
                properties = Properties(session_expiry_interval=NO_EXPIRY, receive_maximum=2)
                self.begin(client, Connect(client.name, 5, False, properties=properties))
        for link in [link for link in self.links if link.is_full]:
            self.fill(link, False)
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


class SharedMachine(BrokerMachine):
    """The same, with a Shared Subscription of both from the beginning, and most messages for it."""

    is_shared = True
