"""The corpus, and what is near to it: so that every run of the tests fuzzes a little."""

from __future__ import annotations

from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.message import Kept
from tests.fuzz import targets

CORPUS = Path(__file__).parent / "corpus"
MUTATIONS = 10  # of each file


def mutate(data: bytes, random: Random) -> bytes:
    """A few bytes changed, left out, doubled or put in."""
    mutated = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(mutated) + 1)
        way = random.randrange(4)
        if way == 0:
            mutated[at : at + 1] = bytes([random.randrange(256)])
        elif way == 1:
            del mutated[at : at + random.randint(1, 4)]
        elif way == 2:
            mutated[at:at] = mutated[at : at + random.randint(1, 40)]
        else:
            mutated[at:at] = random.choice(
                (b"\xff", b"\x00", b"\x80\x80\x80\x80\x01", b"/#", b"\x26\x00\x01a\x00")
            )
    return bytes(mutated)


class CorpusTests(SynchronousTestCase):
    def check(self, name: str) -> None:
        paths = sorted((CORPUS / name).iterdir())
        self.assertGreater(len(paths), 5)
        random = Random(name)
        for path in paths:
            data = path.read_bytes()
            for mutated in (data, *(mutate(data, random) for _ in range(MUTATIONS))):
                with self.subTest(path=path.name, data=mutated.hex()):
                    targets.TARGETS[name](mutated)

    def test_decode(self) -> None:
        """Nothing but `MQTTError` leaves the decoder, and what it accepts can be said again."""
        self.check("decode")

    def test_broker(self) -> None:
        """Whatever its clients send and do, the broker serves the next one."""
        self.check("broker")

    def test_the_targets_see(self) -> None:
        """A fault in the broker is not taken for an answer to a faulty client."""

        class BrokenStore(MemoryStore):
            def retained_changed(self, topic_name: str, kept: Kept | None) -> None:
                raise RuntimeError("seeded")

        self.patch(targets, "MemoryStore", BrokenStore)
        story = b"\x00\x01" + b"\x05\x06" + b"\x31\x04\x00\x01ax"  # CONNECT, then PUBLISH with RETAIN
        self.assertRaises(RuntimeError, targets.broker, story)
