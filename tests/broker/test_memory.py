"""What the broker holds of messages: no more than its limits allow, whatever clients do not read."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

from mqttwist.broker.settings import Settings
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions
from tests.broker.harness import BrokerTestCase

SIZE = 100_000  # bytes of each message


class HeldBytesTests(BrokerTestCase):
    def held(self, work: Callable[[], object]) -> float:
        """How many messages of `SIZE` bytes are held after `work` that were not held before."""
        tracemalloc.start()
        try:
            work()
            gc.collect()
            return tracemalloc.get_traced_memory()[0] / SIZE
        finally:
            tracemalloc.stop()

    def test_replaced_retained_messages(self) -> None:
        """A client that asks again and again and acknowledges nothing holds no messages of the past."""
        for qos in (0, 1):
            self.start(Settings(queue_bytes=2 * SIZE))
            # In the queue, in the outbox (only QoS 0), and retained.
            self.assertLess(self.held(self.asking_again(qos)), 2 + (11 if qos == 0 else 0) + 2)

    def asking_again(self, qos: int) -> Callable[[], None]:
        """A client that does not read subscribes 100 times, and each time another message is retained."""
        subscriber = self.connected("subscriber", receive_maximum=1)
        publisher = self.connected("publisher")
        publisher.publish("a", bytes(SIZE), 1, retain=True)
        subscriber.subscribe("a", qos=qos)
        subscriber.connection.transport_full()

        def work() -> None:
            for number in range(100):
                publisher.publish("a", bytes([number]) * SIZE, 1, retain=True)
                subscriber.send(Subscribe(1, [SubscriptionOptions("a", qos)]))

        return work

    def test_messages_in_flight(self) -> None:
        """Of unacknowledged messages as many bytes are held as may wait, and one message more."""
        self.start(Settings(queue_bytes=5 * SIZE))
        subscriber = self.connected("subscriber")
        subscriber.subscribe("a", qos=2)
        publisher = self.connected("publisher")

        def work() -> None:
            for number in range(100):
                publisher.publish("a", bytes([number]) * SIZE, 1)
                subscriber.transport.data = b""

        self.assertLess(self.held(work), 5 + 6 + 1)

    def test_encoded_forms(self) -> None:
        """What was encoded for other receivers is not held along with a message that waits or is retained."""
        self.connected("away", clean_start=False, session_expiry_interval=100).subscribe("a", qos=2)
        self.connected("away", clean_start=False, session_expiry_interval=100).lose()
        publisher = self.connected("publisher")
        readers = [self.connected(f"{version}{qos}", version) for version in (4, 5) for qos in (0, 1, 2)]
        for position, reader in enumerate(readers):
            reader.subscribe("a", qos=position % 3)

        def work() -> None:
            for number in range(10):
                publisher.publish("a", bytes([number]) * SIZE, 2, retain=number % 2 == 0)
                for reader in readers:
                    for packet in reader.take():
                        reader.ack(packet)
                        for answer in reader.take():
                            reader.ack(answer)
                    reader.transport.data, reader.taken = b"", 0

        self.assertLess(self.held(work), 10 + 1)

    def test_encoded_forms_of_what_has_waited(self) -> None:
        """Nor are the forms in which messages that have waited, or retained ones, were sent."""
        self.connected("publisher").publish("a", bytes(SIZE), 1, retain=True)
        readers = [self.connected(f"{version}", version) for version in (3, 4, 5)]

        def work() -> None:
            for qos in (0, 1):
                for reader in readers:
                    reader.subscribe("a", qos=qos)
                    self.assertIsInstance(reader.take_one(Publish), Publish)
                    reader.transport.data, reader.taken = b"", 0

        self.assertLess(self.held(work), 1)
