"""4.3.1 QoS 0 and 4.3.2 QoS 1. More stands in the module of delivery."""

from __future__ import annotations

from mqttwist.conform.v5 import qos
from mqttwist.conform.v311 import statement

statement("MQTT-4.3.1-1")(qos.qos_0_that_was_kept_is_sent_with_dup_0)
statement("MQTT-4.3.2-1")(qos.a_new_message_with_qos_1_has_an_unused_packet_identifier)
statement("MQTT-4.3.2-1")(qos.a_message_with_qos_1_is_unacknowledged_until_puback)
statement("MQTT-4.3.2-2")(qos.a_publish_with_qos_1_is_answered_by_puback)
statement("MQTT-4.3.2-2")(qos.after_puback_the_same_packet_identifier_is_a_new_message)
