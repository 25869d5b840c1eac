"""A client as a publisher: which of its messages are accepted, and what they are answered (3.3, 4.3)."""

from __future__ import annotations

from typing import Final

from mqttwist.broker.doors import Authority
from mqttwist.broker.retained import RetainedMessages
from mqttwist.broker.router import Router
from mqttwist.broker.settings import Settings
from mqttwist.broker.subscriptions import NAME_LIMIT
from mqttwist.broker.sys_topics import is_protected
from mqttwist.session.aliases import InboundAliases
from mqttwist.session.journal import Journal
from mqttwist.session.session import Session
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.errors import ProtocolError
from mqttwist.wire.packet import MQTT_5
from mqttwist.wire.publish import Publish

SUCCESS: Final = 0x00
NO_MATCHING_SUBSCRIBERS: Final = 0x10
NEW_MESSAGE: Final = -1  # no Reason Code: to be published
PERMISSIONS_LIMIT: Final = 1000  # how many answers of an authority one connection remembers


class Publisher:
    """The publishing half of an accepted connection. An `authority` of None may do everything."""

    __slots__ = (
        "_aliases", "_authority", "_journal", "_maximum_qos", "_maximum_topic_levels", "_permissions",
        "_retain_available", "_retained", "_retained_limit", "_router", "_session",
    )  # fmt: skip

    _router: Router
    _journal: Journal | None  # None: nothing is to be stored
    _session: Session
    _authority: Authority | None
    _aliases: InboundAliases
    _permissions: dict[tuple[str, int, bool], bool]
    _maximum_qos: int
    _maximum_topic_levels: int
    _retain_available: bool
    _retained: RetainedMessages
    _retained_limit: int  # below it nothing has to be looked at to retain a message

    def __init__(
        self, router: Router, settings: Settings, session: Session, authority: Authority | None
    ) -> None:
        self._router = router
        self._journal = router.journal
        self._session = session
        self._authority = authority
        self._aliases = InboundAliases(settings.topic_alias_maximum)
        self._permissions = {}
        self._maximum_qos = settings.maximum_qos
        self._maximum_topic_levels = settings.maximum_topic_levels
        self._retain_available = settings.retain_available == 1
        self._retained = router.retained
        self._retained_limit = settings.maximum_retained if self._retain_available else 0

    @property
    def client_id(self) -> str:
        return self._session.client_id

    def received(self, publish: Publish) -> int:
        """Take a PUBLISH; answers the Reason Code of its PUBACK or PUBREC. Raises `ProtocolError`."""
        if publish.topic_alias or publish.subscription_identifiers:
            self._read_hop(publish)
        qos = publish.qos
        journal = self._journal
        if qos and (
            # Any of these asks for a closer look. Without an unreleased message of QoS 2 no quota is used.
            qos == 2
            or self._maximum_qos == 0
            or self._session.incoming.unreleased
            or (journal is not None and journal.is_failing)
        ):
            reason_code = self._flow_answer(publish, qos)
            if reason_code != NEW_MESSAGE:
                return reason_code
        topic_name = publish.topic_name
        if (
            self._authority is not None
            or (publish.retain and self._retained.count >= self._retained_limit)
            or topic_name[0] == "$"
            or len(topic_name) >= self._maximum_topic_levels
        ):
            refusal = self._refusal(publish)
            if refusal:
                return self._refuse(publish, refusal)
        matched = self._router.publish(publish, self._session.outgoing)
        if qos == 2:
            self._session.incoming.received(publish.packet_id)
        return SUCCESS if matched else NO_MATCHING_SUBSCRIBERS

    def _read_hop(self, publish: Publish) -> None:
        """Take the properties that are for this hop alone."""
        if publish.topic_alias:
            self._aliases.resolve(publish)
        if publish.subscription_identifiers:
            raise ProtocolError(0x82, "PUBLISH of a client has a Subscription Identifier", "MQTT-3.3.4-6")

    def _flow_answer(self, publish: Publish, qos: int) -> int:
        """What a PUBLISH of QoS 1 or 2 is answered that is no new message; `NEW_MESSAGE` for one that is.

        At QoS 1 whatever comes is a new message [MQTT-4.3.2-5], at QoS 2 it is so the first time; it is
        acknowledged every time [MQTT-4.3.3-10].
        """
        if qos > self._maximum_qos:
            raise ProtocolError(0x9B, f"PUBLISH with QoS {qos}", "MQTT-3.2.2-11")
        session = self._session
        incoming = session.incoming
        if qos == 2 and not incoming.is_new(publish.packet_id):
            return SUCCESS
        journal = self._journal
        if (
            journal is not None
            and journal.is_failing
            and session.version == MQTT_5
            and self._router.must_be_stored(publish)
        ):
            return self._refuse(publish, ReasonCode.QUOTA_EXCEEDED.value)
        if qos == 2:
            return NEW_MESSAGE
        if incoming.receive_maximum:
            incoming.check_quota()
        if incoming.unreleased and publish.packet_id in incoming.unreleased and session.version == MQTT_5:
            return ReasonCode.PACKET_IDENTIFIER_IN_USE.value
        return NEW_MESSAGE

    def _refuse(self, publish: Publish, reason_code: int) -> int:
        """A message that is not accepted; before MQTT 5.0 its sender can't be told, and goes on with it."""
        incoming = self._session.incoming
        if publish.qos == 2 and self._session.version == MQTT_5:
            incoming.refused(publish.packet_id)
        elif publish.qos == 2:
            incoming.received(publish.packet_id)
        return reason_code

    def _refusal(self, publish: Publish) -> int:
        """The Reason Code for a message that is not accepted; 0 for one that is. Raises `ProtocolError`."""
        if publish.retain and not self._retain_available:
            raise ProtocolError(0x9A, "PUBLISH with RETAIN", "MQTT-3.2.2-14")
        topic_name = publish.topic_name
        if topic_name.count("/") >= self._maximum_topic_levels:
            return ReasonCode.TOPIC_NAME_INVALID.value
        if is_protected(topic_name, self._session.client_id) or not self._may_publish(publish):
            return ReasonCode.NOT_AUTHORIZED.value
        if publish.retain and not self._router.has_room_to_retain(publish):
            return ReasonCode.QUOTA_EXCEEDED.value
        return SUCCESS

    def _may_publish(self, publish: Publish) -> bool:
        authority = self._authority
        if authority is None:
            return True
        key = (publish.topic_name, publish.qos, publish.retain)
        allowed = self._permissions.get(key)
        if allowed is None:
            if len(publish.topic_name) > NAME_LIMIT:
                return authority.may_publish(*key)
            if len(self._permissions) >= PERMISSIONS_LIMIT:
                self._permissions.clear()
            allowed = self._permissions[key] = authority.may_publish(*key)
        return allowed
