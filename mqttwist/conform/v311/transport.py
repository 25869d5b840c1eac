"""4.2 Network Connections, which 7.1.1 asks for."""

from __future__ import annotations

from mqttwist.conform.v5 import transport
from mqttwist.conform.v311 import statement

statement("MQTT-7.1.1-1")(transport.packets_may_come_byte_by_byte)
statement("MQTT-7.1.1-1")(transport.packets_may_be_cut_anywhere)
statement("MQTT-7.1.1-1")(transport.no_byte_is_lost_or_changed)
statement("MQTT-7.1.1-1")(transport.order_is_kept_in_both_directions)
statement("MQTT-7.1.1-1")(transport.a_connection_and_all_else_in_one_piece)
