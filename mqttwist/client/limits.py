"""What the Server said of itself in CONNACK (3.2.2.3), and what follows for what we send."""

from __future__ import annotations

from mqttwist.client.errors import ClientError, NotSupportedByServer
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.decoder import LARGEST_PACKET
from mqttwist.wire.packet import MQTT_5
from mqttwist.wire.subscribe import SubscriptionOptions
from mqttwist.wire.topics import split_share


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


class ServerLimits:
    """The limits of one connection; without a CONNACK those of a Server that said nothing."""

    __slots__ = (
        "identifiers_available", "maximum_packet_size", "maximum_qos", "receive_maximum", "retain_available",
        "shared_available", "topic_alias_maximum", "version", "wildcards_available",
    )  # fmt: skip

    version: int
    receive_maximum: int
    maximum_qos: int
    retain_available: bool
    maximum_packet_size: int  # bytes
    topic_alias_maximum: int
    wildcards_available: bool
    identifiers_available: bool
    shared_available: bool

    def __init__(self, version: int, connack: ConnAck | None = None) -> None:
        said = (connack or ConnAck()).properties
        self.version = version
        self.receive_maximum = _or(said.receive_maximum, 0xFFFF)
        self.maximum_qos = _or(said.maximum_qos, 2)
        self.retain_available = _or(said.retain_available, 1) == 1
        self.maximum_packet_size = _or(said.maximum_packet_size, LARGEST_PACKET)
        self.topic_alias_maximum = _or(said.topic_alias_maximum, 0)
        self.wildcards_available = _or(said.wildcard_subscription_available, 1) == 1
        self.identifiers_available = version == MQTT_5 and _or(said.subscription_identifier_available, 1) == 1
        self.shared_available = _or(said.shared_subscription_available, 1) == 1

    def refusal_of_publish(self, qos: int, retain: bool) -> ClientError | None:
        """Why a message must not be sent [MQTT-3.2.2-11] [MQTT-3.2.2-14]; None if it may be."""
        if qos > self.maximum_qos:
            return NotSupportedByServer("Maximum QoS", f"the Server takes QoS {self.maximum_qos} at most")
        if retain and not self.retain_available:
            return NotSupportedByServer("Retain Available", "the Server keeps no retained messages")
        return None

    def refusal_of_subscribe(self, options: SubscriptionOptions) -> ClientError | None:
        """Why a subscription must not be asked for (3.2.2.3.11 to 3.2.2.3.13); None if it may be."""
        share_name, topic_filter = split_share(options.topic_filter)
        if share_name and not self.shared_available and self.version == MQTT_5:
            return NotSupportedByServer("Shared Subscription Available", "the Server shares no subscriptions")
        if not self.wildcards_available and ("+" in topic_filter or "#" in topic_filter):
            return NotSupportedByServer(
                "Wildcard Subscription Available", "the Server takes no wildcards in Topic Filters"
            )
        return None
