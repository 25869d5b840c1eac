"""4.3.3 QoS 2. More stands in the module of delivery."""

from __future__ import annotations

from mqttwist.conform.v5 import qos_2
from mqttwist.conform.v311 import statement

# The Server as the sender
statement("MQTT-4.3.3-1")(qos_2.a_new_message_with_qos_2_has_an_unused_packet_identifier)
statement("MQTT-4.3.3-1")(qos_2.a_packet_identifier_is_in_use_until_pubcomp)
statement("MQTT-4.3.3-1")(qos_2.a_message_with_qos_2_is_unacknowledged_until_pubrec)
statement("MQTT-4.3.3-1", "MQTT-4.4.0-1")(qos_2.pubrel_is_unacknowledged_until_pubcomp)
statement("MQTT-4.3.3-1")(qos_2.publish_is_not_sent_again_after_pubrel)

# The Server as the receiver
statement("MQTT-4.3.3-2")(qos_2.a_publish_with_qos_2_is_answered_by_pubrec)
statement("MQTT-4.3.3-2")(qos_2.until_pubrel_the_same_packet_identifier_is_the_same_message)
statement("MQTT-4.3.3-2")(qos_2.a_message_that_comes_again_is_kept_once)
statement("MQTT-4.3.3-2")(qos_2.pubrel_is_answered_by_pubcomp)
statement("MQTT-4.3.3-2")(qos_2.after_pubcomp_the_same_packet_identifier_is_a_new_message)
