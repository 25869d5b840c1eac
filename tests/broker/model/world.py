"""The model of the broker: what packets of clients, the passing of time and lost connections do to it."""

from __future__ import annotations

from mqttwist.session.session import NEVER as NO_EXPIRY
from mqttwist.wire.acknowledge import Acknowledgement, PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import Connect
from mqttwist.wire.control import Disconnect, PingReq, PingResp
from mqttwist.wire.packet import Packet
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, UnsubAck, Unsubscribe
from tests.broker.model.messages import (
    NEVER,
    Delivery,
    ModelMessage,
    SharedMessage,
    filter_of,
    is_shared,
    matches,
)
from tests.broker.model.sessions import Begun, ModelSession, View

TAKEN_OVER, KEEP_ALIVE_TIMEOUT, SHUTTING_DOWN = 0x8E, 0x8D, 0x8B


class World:
    """All sessions, retained messages and wills; `now` is moved by `tick` and by whoever holds the clock."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.sessions: dict[str, ModelSession] = {}
        self.retained: dict[str, ModelMessage] = {}
        self.pool: list[SharedMessage] = []
        self.wills: list[tuple[str, str]] = []  # client id and topic of each that went out
        self.ended: list[str] = []  # the client id of each session that ended
        self.begun: Begun = []
        self.completed: list[tuple[str, Delivery]] = []  # confirmed by the client id, and not refused

    # Connections

    def connect(self, connect: Connect) -> tuple[View, bool]:
        """A CONNECT that is accepted: its connection, and what Session Present must be (3.2.2.1.1)."""
        session = self.sessions.get(connect.client_id)
        if session is not None and session.view is not None:
            session.view.close_code = TAKEN_OVER  # [MQTT-3.1.4-3]
            self.leave(session.view, True)
            session = self.sessions.get(connect.client_id)
        if session is not None and connect.clean_start:  # [MQTT-3.1.2-4]
            self._end(session)
            session = None
        is_present = session is not None
        if session is None:
            session = ModelSession(connect.client_id, self.pool, self.begun)
            self.sessions[connect.client_id] = session
        session.expiry_interval = connect.properties.session_expiry_interval or 0
        if connect.version != 5:
            session.expiry_interval = 0 if connect.clean_start else NO_EXPIRY
        session.will = connect.will
        session.will_due = session.expires_at = NEVER  # [MQTT-3.1.3-9]
        session.view = View(session, connect, self.now)
        return session.view, is_present

    def leave(self, view: View, send_will: bool) -> None:
        """The Network Connection has ended; without `send_will` by a DISCONNECT that says so (3.1.2.5)."""
        session = view.session
        if session.view is not view:
            return
        session.view = None
        if not send_will:
            session.will = None  # [MQTT-3.14.4-3]
        if session.expiry_interval == 0:
            self._end(session)
            return
        if session.will is not None:
            session.will_due = self.now + session.will.delay
            if session.will.delay == 0:
                self._send_will(session)
        if session.expiry_interval != NO_EXPIRY:
            session.expires_at = self.now + session.expiry_interval

    def shut_down(self, client_ids: list[str]) -> None:
        """The broker sends all away, in this order; what it remembers of sessions that last, it keeps."""
        for client_id in client_ids:
            view = self.sessions[client_id].view
            assert view is not None, f"{client_id} is sent away for the second time"
            view.close_code = SHUTTING_DOWN
            self.leave(view, True)
        assert not self._views(), "not all were sent away"

    def _end(self, session: ModelSession) -> None:
        """The Session State is discarded, and what it held for a group goes to others."""
        del self.sessions[session.client_id]
        self.ended.append(session.client_id)
        for delivery in session.in_flight.values():
            if delivery.share and delivery.qos == 1:  # at QoS 2 it must not [MQTT-4.8.2-5]
                self._to_group(delivery.message, delivery.share)
        for shared in self.pool:
            shared.candidates.discard(session)
            self._look_for_members(shared)
        self._send_will(session)

    def _send_will(self, session: ModelSession) -> None:
        will, session.will = session.will, None  # [MQTT-3.1.2-10]
        session.will_due = NEVER
        if will is not None:
            self.wills.append((session.client_id, will.topic_name))
            message = ModelMessage(
                will.topic_name,
                will.payload,
                will.qos,
                will.retain,
                session.client_id,
                expiry_of(will.properties.message_expiry_interval),
            )
            self.publish(message)

    # Messages

    def publish(self, message: ModelMessage) -> bool:
        """Note who must be sent `message`; False when that is nobody."""
        message.start(self.now)
        if message.retain:
            self._retain(message)
        expected = [session.expect(message) for session in self.sessions.values()]
        shares = {
            one for session in self.sessions.values() for one in session.subscriptions if is_shared(one)
        }
        groups = [one for one in shares if matches(filter_of(one), message.topic)]
        for share in groups:
            self._to_group(message, share)
        return any(expected) or bool(groups)

    def _members(self, share: str) -> set[ModelSession]:
        return {session for session in self.sessions.values() if share in session.subscriptions}

    def _to_group(self, message: ModelMessage, share: str) -> None:
        self.pool.append(SharedMessage(message, share, self._members(share)))

    def _look_for_members(self, shared: SharedMessage) -> None:
        """Without a member that waits for it, a message may be sent by who still holds it, or be dropped."""
        if not self._members(shared.share):
            shared.may_be_left_out = True

    def _retain(self, message: ModelMessage) -> None:
        """The message replaces the one of its topic [MQTT-3.3.1-5], or removes it [MQTT-3.3.1-6]."""
        for session in self.sessions.values():
            session.retained_changed(message.topic)
        self.retained.pop(message.topic, None)
        if message.payload:
            self.retained[message.topic] = message

    # Packets

    def received(self, view: View, packet: Packet | Publish) -> None:
        """The broker gets a packet on a connection."""
        session = view.session
        if isinstance(packet, Publish):
            self._publish_received(view, packet)
        elif isinstance(packet, PubRel):
            known = packet.packet_id in session.unreleased
            session.unreleased.discard(packet.packet_id)
            view.owe(PubComp, packet.packet_id, {0 if known or view.version < 5 else 0x92})
        elif isinstance(packet, Acknowledgement):
            delivery = session.acknowledged(packet)
            if delivery is not None and packet.reason_code < 0x80:
                self.completed.append((session.client_id, delivery))
        elif isinstance(packet, Subscribe):
            self._subscribe_received(view, packet)
        elif isinstance(packet, Unsubscribe):
            self._unsubscribe_received(view, packet)
        elif isinstance(packet, PingReq):
            view.owe(PingResp)
        elif isinstance(packet, Disconnect):
            interval = packet.properties.session_expiry_interval
            if interval is not None:
                session.expiry_interval = interval
            view.close_code = 0
            self.leave(view, packet.reason_code != 0)

    def _publish_received(self, view: View, packet: Publish) -> None:
        session = view.session
        is_new = packet.qos < 2 or packet.packet_id not in session.unreleased  # [MQTT-4.3.3-10]
        codes = {0}
        if is_new:
            message = ModelMessage(
                packet.topic_name,
                packet.payload,
                packet.qos,
                packet.retain,
                session.client_id,
                packet.message_expiry_interval,
            )
            if not self.publish(message) and view.version == 5:
                codes = {0, 0x10}
        if packet.qos == 1:
            view.owe(PubAck, packet.packet_id, codes)
        elif packet.qos == 2:
            session.unreleased.add(packet.packet_id)
            view.owe(PubRec, packet.packet_id, codes)

    def _subscribe_received(self, view: View, packet: Subscribe) -> None:
        session = view.session
        identifiers = packet.properties.subscription_identifiers if packet.properties else ()
        retained = [one for one in self.retained.values() if one.expires_at > self.now]
        for options in packet.subscriptions:
            session.subscribe((options, identifiers[0] if identifiers else 0), retained)
            for shared in self.pool:
                if shared.share == options.topic_filter:
                    shared.candidates.add(session)
        view.owe(SubAck, packet.packet_id, *({options.qos} for options in packet.subscriptions))

    def _unsubscribe_received(self, view: View, packet: Unsubscribe) -> None:
        codes = []
        for topic_filter in packet.topic_filters:
            codes.append({0 if topic_filter in view.session.subscriptions else 0x11})
            view.session.subscriptions.pop(topic_filter, None)
            for shared in self.pool:
                self._look_for_members(shared)
        view.owe(UnsubAck, packet.packet_id, *codes)

    # Time

    def next_due(self) -> float:
        """When something is to happen: a will, the end of a session or of a client's silence."""
        due = [one for session in self.sessions.values() for one in (session.will_due, session.expires_at)]
        due += [view.last_received + view.patience for view in self._views()]
        return min(due, default=NEVER)

    def _views(self) -> list[View]:
        return [session.view for session in self.sessions.values() if session.view is not None]

    def tick(self) -> None:
        """Do what is due."""
        for topic in [topic for topic, one in self.retained.items() if one.expires_at <= self.now]:
            del self.retained[topic]
        while self.next_due() <= self.now:
            for view in self._views():
                if view.last_received + view.patience <= self.now:
                    view.close_code = KEEP_ALIVE_TIMEOUT  # [MQTT-3.1.2-22]
                    self.leave(view, True)
            for session in list(self.sessions.values()):
                if session.will_due <= self.now:
                    self._send_will(session)
                if session.expires_at <= self.now:
                    self._end(session)

    def purge(self) -> None:
        """Forget what must not be sent any more."""
        for session in self.sessions.values():
            session.purge(self.now)
        self.pool[:] = [one for one in self.pool if one.message.expires_at > self.now]

    def settle(self) -> None:
        """Check that the broker has sent all it must have sent by now."""
        for view in self._views():
            view.settle()

    def check_offered(self, view: View) -> None:
        """Who comes back is given what waits for members of its groups, as far as its quota goes.

        What somebody holds who is no member any more may stay there.
        """
        session = view.session
        if len(session.in_flight) < view.quota:
            mine = [one for one in self.pool if one.share in session.subscriptions]
            left = [one for one in mine if one.candidates <= self._members(one.share)]
            left = [one for one in left if not one.may_be_left_out]
            assert not left, f"not given to {session.client_id}: {left}"


def expiry_of(interval: int | None) -> int:
    return -1 if interval is None else interval
