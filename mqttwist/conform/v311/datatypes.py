"""1.5 Data representations."""

from __future__ import annotations

from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import datatypes
from mqttwist.conform.v5.datatypes import BOM
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import require_equal
from mqttwist.wire.publish import Publish

statement("MQTT-1.5.3-1")(datatypes.ill_formed_utf_8_closes_the_connection)
statement("MQTT-1.5.3-2")(datatypes.u_0000_in_a_string_closes_the_connection)


@statement("MQTT-1.5.3-3")
def u_feff_is_a_character_of_a_topic(rig: Rig) -> None:
    """U+FEFF is neither skipped nor stripped where it stands in a Topic Name: first, inside or last."""
    subscriber, other, publisher = rig.connect(), rig.connect(), rig.connect()
    other.subscribe(rig.topic("ab"))
    for text in (f"{BOM}ab", f"a{BOM}b", f"ab{BOM}", BOM):
        subscriber.subscribe(rig.topic(text))
        publisher.send(Publish(rig.topic(text)))
        require_equal(subscriber.expect(Publish).topic_name, rig.topic(text), "the Topic Name")
    other.expect_nothing()
    first = rig.connect(f"{BOM}{rig.client_id()}")
    rig.connect(first.client_id.removeprefix(BOM))
    first.expect_nothing()  # another client
