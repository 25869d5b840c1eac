"""Messages -> subscribers: publish, subscribe, unsubscribe, and what is retained."""

from __future__ import annotations

from typing import Final

from mqttwist.broker.doors import Authority
from mqttwist.broker.retained import RetainedMessages
from mqttwist.broker.route import Route
from mqttwist.broker.subscriptions import Subscriptions
from mqttwist.session import delivery as drop
from mqttwist.session.deadlines import Deadline, Deadlines
from mqttwist.session.delivery import Delivery
from mqttwist.session.grant import Grant
from mqttwist.session.journal import Journal
from mqttwist.session.metrics import Drops
from mqttwist.session.outgoing import OutgoingFlow
from mqttwist.session.receiver import Receiver
from mqttwist.session.session import Session, Subscription
from mqttwist.session.store import Store
from mqttwist.session.turn import Turn
from mqttwist.wire.message import Kept, Message
from mqttwist.wire.subscribe import SubscriptionOptions
from mqttwist.wire.topics import split_share

REFUSALS_LIMIT: Final = 100
INSTANT: float = 0.001  # seconds; how long a message with a Message Expiry Interval of 0 may be on its way


class Router:
    """The subscriptions of all sessions and the retained messages of all topics."""

    __slots__ = (
        "_authorities", "_deadlines", "_drops", "_maximum_retained", "_retained_expiry", "_routes", "_store",
        "_turn", "journal", "retained", "subscriptions",
    )  # fmt: skip

    subscriptions: Subscriptions
    retained: RetainedMessages
    journal: Journal | None  # None: nothing is to be stored
    _authorities: dict[Receiver, Authority]
    _routes: dict[str, Route]  # those that `subscriptions` remembers
    _store: Store
    _turn: Turn
    _deadlines: Deadlines
    _drops: Drops
    _maximum_retained: int
    _retained_expiry: dict[str, Deadline]  # by Topic Name

    def __init__(
        self, store: Store, turn: Turn, deadlines: Deadlines, drops: Drops, maximum_retained: int
    ) -> None:
        self.subscriptions = Subscriptions(self._may_receive, self._is_restricted)
        self._routes = self.subscriptions.routes
        self.retained = RetainedMessages()
        self._authorities = {}
        self._store = store
        self._turn = turn
        self.journal = turn.journal
        self._deadlines = deadlines
        self._drops = drops
        self._maximum_retained = maximum_retained
        self._retained_expiry = {}

    def restore_retained(self) -> None:
        """Take up the retained messages of the store."""
        for kept in self._store.retained():
            if kept.message is not None:
                self.retained.take_up(kept.message.topic_name, kept)
                if kept.message.expires_at:
                    self._expire_retained_later(kept.message)

    # Publishing

    def publish(self, message: Message, publisher: Receiver | None) -> bool:
        """Send `message` to all whose subscriptions match; False when there are none.

        `publisher` is who published it, if that is a client: it counts for No Local.
        """
        if message.message_expiry_interval >= 0:
            message.expires_at = self._turn.now + max(message.message_expiry_interval, INSTANT)
        if message.retain:
            self._retain(message, publisher)
        route = self._routes.get(message.topic_name)  # a call less for nearly every message
        if route is None:
            route = self.subscriptions.route(message.topic_name)
        for target in route.targets:
            if not target.no_local or target.receiver is not publisher:
                target.receiver.deliver(message, target.grant)
            elif target.own is not None:
                target.receiver.deliver(message, target.own.grant)
        if route.groups:
            for group in route.groups:
                if not group.deliver(message):
                    self._drops.count(group.topic_filter, drop.NO_MEMBER)
        message.forms = None
        return route.leads_somewhere

    @property
    def store_is_failing(self) -> bool:
        """Whether the store, if there is one, does not take changes for now."""
        return self.journal is not None and self.journal.is_failing

    def must_be_stored(self, message: Message) -> bool:
        """Whether somebody is to get `message` even if the process ends now."""
        if message.retain:
            return True
        route = self.subscriptions.route(message.topic_name)
        receivers = [target.receiver for target in route.targets]
        for group in route.groups:
            receivers += group.receivers
        return any(receiver.is_recorded for receiver in receivers)

    # Retained messages

    def has_room_to_retain(self, message: Message) -> bool:
        """Whether the limit allows `message` to be retained, if that is what it asks for."""
        return (
            not message.retain
            or message.payload_size == 0
            or len(self.retained) < self._maximum_retained
            or self.retained.get(message.topic_name) is not None
        )

    def _retain(self, message: Message, publisher: Receiver | None) -> None:
        topic_name = message.topic_name
        if self._retained_expiry and topic_name in self._retained_expiry:
            self._retained_expiry.pop(topic_name).cancel()
        if message.payload_size == 0:  # [MQTT-3.3.1-6] [MQTT-3.3.1-7]
            if self.retained.remove(topic_name):
                self._store.retained_changed(topic_name, None)
            return
        kept = self.retained.set(message, "" if publisher is None else publisher.client_id)
        if topic_name[0] != "$" or not topic_name.startswith("$SYS/"):  # its own figures end with a broker
            self._store.retained_changed(topic_name, kept)
        if message.expires_at:
            self._expire_retained_later(message)

    def _expire_retained_later(self, message: Message) -> None:
        topic_name = message.topic_name
        self._retained_expiry[topic_name] = self._deadlines.at(
            message.expires_at, lambda now: self._expire_retained(topic_name)
        )

    def _expire_retained(self, topic_name: str) -> None:
        del self._retained_expiry[topic_name]
        self.retained.remove(topic_name)
        self._store.retained_changed(topic_name, None)

    def replay(self, receiver: Receiver, subscription: Subscription) -> None:
        """Queue the retained messages that match a new subscription (3.3.1.3).

        A new member of a Shared Subscription gets none (4.8.2), but what waits for others.
        """
        options = subscription.options
        if split_share(options.topic_filter)[0]:
            self.relieve([options.topic_filter], receiver)
            return
        identifiers = (subscription.identifier,) if subscription.identifier else ()
        grant = Grant(options.qos, True, identifiers)
        places = self.retained.matching(options.topic_filter)
        if options.no_local:  # [MQTT-3.8.3-3]
            places = [kept for kept in places if kept.publisher != receiver.client_id]
        authority = self._authorities.get(receiver)
        if authority is not None:
            places = [kept for kept in places if _may_be_replayed(kept, authority)]
        if places:
            receiver.replay(places, grant)

    # Subscribing

    def subscribe(self, session: Session, subscription: Subscription) -> bool:
        """Add a subscription to a session, or put it in the place of one with the same filter [MQTT-3.8.4-3].

        Answers whether `replay` is to be called for it.
        """
        options = subscription.options
        is_new = self.subscriptions.add(session.outgoing, subscription)
        session.subscriptions[options.topic_filter] = subscription
        self._store.subscription_added(session, subscription)
        return self.wants_retained(options, is_new) or bool(is_new and split_share(options.topic_filter)[0])

    def wants_retained(self, options: SubscriptionOptions, is_new: bool) -> bool:
        """Whether a subscription asks for retained messages [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11].

        A Shared Subscription never does (4.8.2).
        """
        if split_share(options.topic_filter)[0]:
            return False
        return options.retain_handling == 0 or (options.retain_handling == 1 and is_new)

    def unsubscribe(self, session: Session, topic_filter: str) -> bool:
        """Remove a subscription of a session; False if there is none.

        What waits by a Shared Subscription is others': call `hand_over` for all that one packet has removed.
        """
        if session.subscriptions.pop(topic_filter, None) is None:
            return False
        self.subscriptions.remove(session.outgoing, topic_filter)
        self._store.subscription_removed(session, topic_filter)
        return True

    def restore(self, session: Session) -> None:
        """Take up the subscriptions of a session from the store.

        What waits for it is not looked at, for that may be on disk: if nothing came by a Shared Subscription,
        that is found out when another member asks for it.
        """
        for subscription in session.subscriptions.values():
            self.subscriptions.add(session.outgoing, subscription)
            topic_filter = subscription.options.topic_filter
            if session.outgoing.waiting.length and split_share(topic_filter)[0]:
                group = self.subscriptions.share_group(topic_filter)
                if group is not None:
                    group.keeps(session.outgoing, True)

    def forget(self, session: Session) -> None:
        """The session has ended: drop its subscriptions, and give what came by Shared ones to others."""
        self.subscriptions.begin_changes()
        for topic_filter in session.subscriptions:
            self.subscriptions.remove(session.outgoing, topic_filter)
        session.subscriptions.clear()
        self._authorities.pop(session.outgoing, None)
        for delivery in session.outgoing.end():
            if not self._give_to_another(delivery, None):
                self._drops.count(session.client_id, drop.NO_MEMBER)

    def hand_over(self, outgoing: OutgoingFlow, shares: set[str] | None = None) -> set[str]:
        """What waits for a client by Shared Subscriptions goes to other members, as far as they take it.

        `shares` are some of them, None all. Answers those of which something stays. When `REFUSALS_LIMIT`
        messages were taken by nobody, no more are offered: this may be a long queue and a large group.
        """
        refusals = 0
        staying: set[str] = set()

        def is_taken(delivery: Delivery) -> bool:
            nonlocal refusals
            share = delivery.grant.share
            if not share or (shares is not None and share not in shares):
                return False
            if refusals < REFUSALS_LIMIT and self._give_to_another(delivery, outgoing):
                return True
            refusals += 1
            staying.add(share)
            return False

        outgoing.take(is_taken)
        return staying

    def offer_waiting(self, session: Session) -> None:
        """A session has a Network Connection again: it takes over what waits for others of its groups."""
        self.relieve([one for one in session.subscriptions if split_share(one)[0]], session.outgoing)

    def relieve(self, shares: list[str], receiver: Receiver) -> None:
        """`receiver` has come: offer it, and all others, what waits for members of its groups."""
        kept: dict[OutgoingFlow, set[str]] = {}
        for share in shares:
            group = self.subscriptions.share_group(share)
            for keeper in group.keepers if group is not None else ():
                if keeper is not receiver and isinstance(keeper, OutgoingFlow):
                    kept.setdefault(keeper, set()).add(share)
        for outgoing, of in kept.items():
            if not receiver.has_room:
                return
            staying = self.hand_over(outgoing, of)
            for share in of:
                group = self.subscriptions.share_group(share)
                if group is not None:
                    group.keeps(outgoing, share in staying)

    def _give_to_another(self, delivery: Delivery, instead_of: Receiver | None) -> bool:
        message = delivery.message
        if message is None:
            return False
        group = self.subscriptions.group(delivery.grant.share, message.topic_name)
        if group is None or not group.deliver(message, instead_of):
            return False
        message.forms = None
        return True

    # Permissions

    def set_authority(self, session: Session, authority: Authority | None) -> None:
        """Who the client is may have changed: so may what it is allowed to receive."""
        before = self._authorities.pop(session.outgoing, None)
        if authority is not None:
            self._authorities[session.outgoing] = authority
        if before is not authority:
            self.subscriptions.forget_routes_of(list(session.subscriptions))
            if authority is not None:
                self._drop_forbidden(session.outgoing)

    def _drop_forbidden(self, outgoing: OutgoingFlow) -> None:
        """Drop what waits for a client and what it may not receive any more; others may get what is shared.

        What was sent before and not confirmed stays: the client has seen it, or part of it.
        """
        answers: dict[str, bool] = {}

        def is_forbidden(delivery: Delivery) -> bool:
            message = delivery.message
            if message is None and delivery.kept is not None:
                message = delivery.kept.message
            if message is None:
                return False
            topic_name = message.topic_name
            if topic_name not in answers:
                answers[topic_name] = self._may_receive(outgoing, topic_name)
            return not answers[topic_name]

        for delivery in outgoing.take(is_forbidden):
            if not delivery.grant.share or not self._give_to_another(delivery, outgoing):
                self._drops.count(outgoing.client_id, drop.FORBIDDEN)

    def _may_receive(self, receiver: Receiver, topic_name: str) -> bool:
        authority = self._authorities.get(receiver)
        return authority is None or authority.may_receive(topic_name)

    def _is_restricted(self, receiver: Receiver) -> bool:
        return receiver in self._authorities


def _may_be_replayed(kept: Kept, authority: Authority) -> bool:
    return kept.message is not None and authority.may_receive(kept.message.topic_name)
