"""A client as a subscriber: which of its subscriptions are granted, and what is sent for them (3.8, 3.10)."""

from __future__ import annotations

from typing import Final

from mqttwist.broker.doors import Authority
from mqttwist.broker.router import Router
from mqttwist.broker.settings import Settings
from mqttwist.session.delivery import QUEUE_FULL
from mqttwist.session.metrics import Drops
from mqttwist.session.session import Session, Subscription
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.subscribe import SubscriptionOptions
from mqttwist.wire.topics import SHARE_PREFIX, check_topic_filter, split_share

SUCCESS: Final = 0x00
NO_SUBSCRIPTION_EXISTED: Final = 0x11
REPLAY_LIMIT: Final = 100_000  # messages that may wait when retained ones are asked for, beside all retained


def _is_for_us(options: SubscriptionOptions) -> bool:
    """Whether we can tell what a filter asks for: in 3.x `$share/` may stand before anything.

    All else about it was checked when it was decoded.
    """
    if not options.topic_filter.startswith(SHARE_PREFIX):
        return True
    try:
        check_topic_filter(options.topic_filter)
    except ValueError:
        return False
    return True


class Subscriber:
    """The subscribing half of an accepted connection. An `authority` of None may do everything."""

    __slots__ = ("_authority", "_drops", "_left", "_router", "_session", "_settings", "_to_replay")

    _router: Router
    _settings: Settings
    _drops: Drops
    _session: Session
    _authority: Authority | None
    _left: set[str]  # Shared Subscriptions that the packet at hand has removed
    _to_replay: list[Subscription]  # those whose retained messages are to be sent after the SUBACK

    def __init__(
        self, router: Router, settings: Settings, drops: Drops, session: Session, authority: Authority | None
    ) -> None:
        self._router = router
        self._settings = settings
        self._drops = drops
        self._session = session
        self._authority = authority
        self._left = set()
        self._to_replay = []

    def subscribe(self, options: SubscriptionOptions, identifier: int) -> int:
        """Grant one Topic Filter of a SUBSCRIBE, or refuse it: its Reason Code."""
        refusal = self._refusal(options)
        if refusal:
            return refusal
        qos = min(options.qos, self._settings.maximum_qos)
        granted = SubscriptionOptions(
            options.topic_filter, qos, options.no_local, options.retain_as_published, options.retain_handling
        )
        subscription = Subscription(granted, identifier)
        if self._router.subscribe(self._session, subscription):
            self._to_replay.append(subscription)
        return qos

    def _refusal(self, options: SubscriptionOptions) -> int:
        authority = self._authority
        subscriptions = self._session.subscriptions
        if options.topic_filter.count("/") >= self._settings.maximum_topic_levels or not _is_for_us(options):
            return ReasonCode.TOPIC_FILTER_INVALID.value
        if authority is not None and not authority.may_subscribe(options.topic_filter, options.qos):
            return ReasonCode.NOT_AUTHORIZED.value
        is_new = options.topic_filter not in subscriptions
        if is_new and len(subscriptions) >= self._settings.maximum_subscriptions:
            return ReasonCode.QUOTA_EXCEEDED.value
        if self._session.outgoing.is_recorded and self._router.store_is_failing:
            return ReasonCode.QUOTA_EXCEEDED.value
        return SUCCESS

    def replay(self) -> None:
        """Send the retained messages for what has been granted; the SUBACK is on its way."""
        if not self._to_replay:
            return
        shares: list[str] = []
        for subscription in self._to_replay:
            if split_share(subscription.options.topic_filter)[0]:
                shares.append(subscription.options.topic_filter)
            else:
                self._replay(subscription)
        self._to_replay.clear()
        if shares:
            self._router.relieve(shares, self._session.outgoing)
        self._session.outgoing.pump()

    def _replay(self, subscription: Subscription) -> None:
        """Queue retained messages; the limits of the queue don't count them, so there is a limit here."""
        session = self._session
        if len(session.outgoing.waiting) > REPLAY_LIMIT + 2 * len(self._router.retained):
            self._drops.count(session.client_id, QUEUE_FULL)
        else:
            self._router.replay(session.outgoing, subscription)

    def unsubscribe(self, topic_filter: str) -> int:
        """Remove a subscription: the Reason Code of its UNSUBACK. Call `hand_over` after the last one."""
        if not self._router.unsubscribe(self._session, topic_filter):
            return NO_SUBSCRIPTION_EXISTED
        if split_share(topic_filter)[0]:
            self._left.add(topic_filter)
        return SUCCESS

    def hand_over(self) -> None:
        """What waits by Shared Subscriptions that were removed is for other members."""
        if self._left:
            self._router.hand_over(self._session.outgoing, self._left)
            self._left = set()
