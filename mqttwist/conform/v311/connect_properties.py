"""3.1 CONNECT: Keep Alive."""

from __future__ import annotations

from mqttwist.conform.v5 import connect_properties
from mqttwist.conform.v311 import statement

statement("MQTT-3.1.2-24", slow=True)(connect_properties.a_client_that_says_nothing_is_sent_away)
statement("MQTT-3.1.2-24", slow=True)(connect_properties.any_packet_keeps_a_client_alive)
