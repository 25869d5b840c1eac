"""A session in the model, and its Network Connection: what must be sent on it, and what must not."""

from __future__ import annotations

from itertools import count

from mqttwist.wire.acknowledge import Acknowledgement, PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import Connect, Will
from mqttwist.wire.control import Disconnect
from mqttwist.wire.packet import Packet
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, SubscriptionOptions, UnsubAck
from tests.broker.model.messages import (
    ITS_TURN,
    NEVER,
    NOTHING,
    PUBACK,
    PUBCOMP,
    PUBREC,
    Delivery,
    ModelMessage,
    SharedMessage,
    filter_of,
    is_shared,
    matches,
    merged,
)

RETRY_INTERVAL = 20.0  # seconds after which a 3.x client is sent a message again (4.4 of 3.1.1)
PUBLISH_AGAIN, PUBREL_AGAIN = "PUBLISH", "PUBREL"
SEND_MAXIMUM = 1000  # messages; the broker's own limit

Terms = tuple[SubscriptionOptions, int]  # a subscription: its options and its Subscription Identifier

Begun = list[tuple[str, Delivery]]  # what was sent at QoS 1 or 2, each with the client id

_orders = count(1)


class ModelSession:
    """What the broker must remember of a client."""

    def __init__(self, client_id: str, pool: list[SharedMessage], begun: Begun) -> None:
        self.client_id = client_id
        self.pool = pool  # what waits for any member of a Shared Subscription: of all sessions
        self.begun = begun  # of all sessions, too
        self.expiry_interval = 0
        self.subscriptions: dict[str, Terms] = {}
        self.shares: dict[str, list[Terms]] = {}  # all terms that a Shared Subscription ever had
        self.unreleased: set[int] = set()
        self.waiting: list[Delivery] = []
        self.in_flight: dict[int, Delivery] = {}  # in the order of their first sending
        self.view: View | None = None
        self.will: Will | None = None
        self.will_due = NEVER
        self.expires_at = NEVER

    def grants_of(self, share: str) -> list[Terms]:
        return self.shares.get(share, [])

    def expect(self, message: ModelMessage) -> bool:
        """`message` was published: note what the client must be sent; False when that is nothing."""
        is_own = message.publisher == self.client_id
        delivery = merged(
            message,
            [
                terms
                for full_filter, terms in self.subscriptions.items()
                if not is_shared(full_filter)
                and matches(full_filter, message.topic)
                and not (is_own and terms[0].no_local)  # [MQTT-3.8.3-3]
            ],
        )
        if delivery is not None:
            self.waiting.append(delivery)
        return delivery is not None

    def subscribe(self, terms: Terms, retained: list[ModelMessage]) -> None:
        """Note a subscription, and which of the `retained` messages must be sent for it (3.3.1.3)."""
        options, identifier = terms
        is_new = options.topic_filter not in self.subscriptions
        self.subscriptions[options.topic_filter] = terms
        if is_shared(options.topic_filter):
            self.shares.setdefault(options.topic_filter, []).append(terms)
            return
        if options.retain_handling == 2 or (options.retain_handling == 1 and not is_new):
            return
        identifiers = (identifier,) if identifier else ()
        for message in retained:
            is_own = options.no_local and message.publisher == self.client_id
            if matches(filter_of(options.topic_filter), message.topic) and not is_own:
                qos = min(message.qos, options.qos)
                self.waiting.append(Delivery(message, qos, True, identifiers, replay=True))

    def retained_changed(self, topic: str) -> None:
        """A retained message that waits because of a SUBSCRIBE is not what its topic has any more."""
        for delivery in self.waiting:
            if delivery.replay and delivery.message.topic == topic:
                delivery.may_be_left_out = True

    def purge(self, now: float) -> None:
        """Messages whose sending has not begun in time must not be sent [MQTT-3.3.2-5]."""
        self.waiting = [one for one in self.waiting if one.message.expires_at > now]

    def acknowledged(self, packet: Acknowledgement) -> Delivery | None:
        """PUBACK, PUBREC or PUBCOMP came; answers the delivery that is completed by it."""
        delivery = self.in_flight.get(packet.packet_id)
        awaited = {PubAck: PUBACK, PubRec: PUBREC, PubComp: PUBCOMP}[type(packet)]
        if isinstance(packet, PubRec) and packet.reason_code < 0x80:
            self._received(packet.packet_id, delivery)
            return None
        if delivery is None or delivery.awaiting != awaited:
            return None
        delivery.awaiting = NOTHING
        del self.in_flight[packet.packet_id]
        if self.view is not None:
            self.view.outstanding.discard(packet.packet_id)
        return delivery

    def _received(self, packet_id: int, delivery: Delivery | None) -> None:
        """A PUBREC is always answered by PUBREL, once for each [MQTT-4.3.3-4]."""
        if delivery is not None and delivery.awaiting == PUBREC:
            delivery.awaiting = PUBCOMP
            delivery.is_here = True
        if self.view is not None and (delivery is None or delivery.awaiting == PUBCOMP):
            self.view.pubrels.append(packet_id)


class View:
    """A Network Connection as the broker must see it. `close_code` is why the broker must close it.

    `is_full`: the transport takes no more, so messages may wait; acknowledgements are due all the same.
    """

    def __init__(self, session: ModelSession, connect: Connect, now: float) -> None:
        properties = connect.properties
        self.session = session
        self.version = connect.version
        self.quota = min(properties.receive_maximum or 65_535, SEND_MAXIMUM)
        self.had_expiry = bool(properties.session_expiry_interval)
        self.patience = connect.keep_alive * 1.5 or NEVER  # seconds [MQTT-3.1.2-22]
        self.last_received = now
        self.close_code: int | None = None
        self.is_full = False
        self.answers: list[tuple[type[Packet], int, list[set[int]]]] = []
        self.pubrels: list[int] = []
        self.outstanding: set[int] = set()  # what counts against the quota (4.9)
        self.aliases: dict[int, str] = {}
        self.last_again = {PUBREL_AGAIN: 0, PUBLISH_AGAIN: 0}
        for delivery in session.in_flight.values():
            delivery.is_here = False

    def owe(self, kind: type[Packet], packet_id: int = 0, *codes: set[int]) -> None:
        """The next answer must be this one, with one of these Reason Codes in each place."""
        self.answers.append((kind, packet_id, list(codes)))

    # What the broker has sent

    def sent(self, packet: Packet | Publish, now: float) -> None:
        """Check a packet, and note what follows from it."""
        if isinstance(packet, Publish):
            self._publish_sent(packet, now)
        elif isinstance(packet, PubRel):
            self._pubrel_sent(packet, now)
        elif isinstance(packet, Disconnect):
            assert (packet.reason_code, self.version) == (self.close_code, 5), f"{packet} is out of place"
            self.close_code = 0
        else:
            self._answer_sent(packet)

    def _answer_sent(self, packet: Packet) -> None:
        assert self.answers, f"nothing asks for {packet}"
        kind, packet_id, codes = self.answers.pop(0)
        assert type(packet) is kind, f"{kind.__name__} {packet_id} must come before {packet}"
        assert getattr(packet, "packet_id", 0) == packet_id, f"{packet} must be for {packet_id}"
        said: list[int] = []
        if isinstance(packet, SubAck) or (isinstance(packet, UnsubAck) and self.version == 5):
            said = packet.reason_codes
        elif isinstance(packet, Acknowledgement):
            said = [packet.reason_code]
        if codes and said:
            assert len(said) == len(codes), f"{packet} must have {codes}"
            assert all(one in allowed for one, allowed in zip(said, codes, strict=True)), (packet, codes)

    def _pubrel_sent(self, packet: PubRel, now: float) -> None:
        packet_id = packet.packet_id
        delivery = self.session.in_flight.get(packet_id)
        if packet_id in self.pubrels:
            self.pubrels.remove(packet_id)
            if self.version == 5:
                assert packet.reason_code == (0x92 if delivery is None else 0), packet
        else:
            assert delivery is not None and delivery.awaiting == PUBCOMP, f"{packet} without a PUBREC"
            self._check_again(delivery, PUBREL_AGAIN, now)
        if delivery is not None:
            delivery.is_here = True
            delivery.sent_at = now

    def _check_again(self, delivery: Delivery, kind: str, now: float) -> None:
        """Sent again: once on a new connection and in the old order [MQTT-4.4.0-1] [MQTT-4.6.0-1]."""
        if not delivery.is_here:
            assert delivery.order > self.last_again[kind], f"{delivery} is sent again out of order"
            self.last_again[kind] = delivery.order
            return
        is_late = delivery.sent_at + RETRY_INTERVAL <= now
        assert self.version < 5 and is_late, f"{delivery} is sent again on the same connection"

    def _publish_sent(self, packet: Publish, now: float) -> None:
        topic = self._topic_of(packet)
        session = self.session
        assert packet.qos or not packet.dup, f"{packet} has DUP [MQTT-3.3.1-2]"
        if packet.dup:
            delivery = session.in_flight.get(packet.packet_id)
            assert delivery is not None, f"{packet} {packet.packet_id} with DUP was never sent [MQTT-3.3.1-1]"
            assert delivery.awaiting in (PUBACK, PUBREC), f"{delivery} was acknowledged [MQTT-4.3.3-6]"
            assert delivery.fits(packet, topic, self.version), f"{packet} is sent again for {delivery}"
            self._check_again(delivery, PUBLISH_AGAIN, now)
        else:
            delivery = self._take(packet, topic, now)
        self._begun(delivery, packet, now)

    def _take(self, packet: Publish, topic: str, now: float) -> Delivery:
        """What waits and is sent by `packet`: for this session, or for a member of its groups."""
        session = self.session
        left = packet.message_expiry_interval

        def rank(one: Delivery | SharedMessage) -> tuple[bool, bool]:
            """Messages with an empty payload look the same: the likelier one first."""
            return one.may_be_left_out, self.version == 5 and not one.message.has_left(left, now)

        for delivery in sorted(session.waiting, key=rank):
            if delivery.fits(packet, topic, self.version):
                self._check_order(delivery)
                session.waiting.remove(delivery)
                return delivery
        for shared in sorted(session.pool, key=rank):
            of_shared = shared.delivery_to(session, packet, topic, self.version)
            if of_shared is not None:
                session.pool.remove(shared)
                return of_shared
        waiting = [*session.waiting, *session.pool]
        raise AssertionError(f"{packet} {packet.payload!r} to {session.client_id} is not among {waiting}")

    def _topic_of(self, packet: Publish) -> str:
        if packet.topic_alias and packet.topic_name:
            self.aliases[packet.topic_alias] = packet.topic_name
        return packet.topic_name or self.aliases[packet.topic_alias]

    def _check_order(self, delivery: Delivery) -> None:
        if delivery.replay:
            return
        session = self.session
        for other in session.waiting[: session.waiting.index(delivery)]:
            if not (other.replay or other.may_be_left_out):
                assert other.order_key != delivery.order_key, f"{delivery} overtakes {other} [MQTT-4.6.0-5]"
        for other in session.in_flight.values():
            if not (other.is_here or other.replay):
                assert other.order_key != delivery.order_key, f"{delivery} overtakes {other} [MQTT-4.6.0-1]"

    def _begun(self, delivery: Delivery, packet: Publish, now: float) -> None:
        """A PUBLISH went out, for the first time or again."""
        if self.version == 5:
            left = packet.message_expiry_interval
            assert delivery.message.has_left(left, now), f"{delivery} is sent with {left} s left at {now}"
        if delivery.qos == 0:
            delivery.awaiting = NOTHING
            return
        packet_id = packet.packet_id
        if delivery.awaiting == ITS_TURN:
            assert packet_id not in self.session.in_flight, f"{packet_id} is in use [MQTT-2.2.1-4]"
            delivery.awaiting = PUBACK if delivery.qos == 1 else PUBREC
            delivery.packet_id = packet_id
            delivery.order = next(_orders)
            self.session.in_flight[packet_id] = delivery
            self.session.begun.append((self.session.client_id, delivery))
        delivery.is_here = True
        delivery.sent_at = now
        self.outstanding.add(packet_id)
        assert len(self.outstanding) <= self.quota, f"{self.outstanding} are unacknowledged [MQTT-3.3.4-9]"

    # What it must have sent by now

    def settle(self) -> None:
        """The broker has nothing to do any more: all that could be sent must have been."""
        assert not self.answers, f"no answer came: {self.answers}"
        assert not self.pubrels, f"no PUBREL came for {self.pubrels}"
        session = self.session
        unsent = [one for one in session.in_flight.values() if not one.is_here]
        forgotten = [one for one in unsent if one.awaiting == PUBCOMP]
        assert not forgotten, f"no PUBREL was sent again for {forgotten} [MQTT-4.4.0-1]"
        if self.is_full or len(session.in_flight) - len(unsent) >= self.quota:
            return
        assert not unsent, f"not sent again although there is quota: {unsent} [MQTT-4.4.0-1]"
        late = [one for one in session.waiting if not one.may_be_left_out]
        assert not late, f"not sent although there is quota: {late}"
