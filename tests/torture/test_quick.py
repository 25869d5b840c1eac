"""Each of the torture runs, but small: real brokers, really killed. `python -m tests.torture` has the whole.

These tests need real time. Waiting is for events, with limits; the runs end by themselves.
"""

from __future__ import annotations

import shutil

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.torture.__main__ import is_as_expected, play_named
from tests.torture.brokers import why_not_ours
from tests.torture.clients import STEPS
from tests.torture.shim import why_no_shim
from tests.torture.stage import Options, Result

SECONDS = 100.0  # in which each run must have ended


class RunTestCase(SynchronousTestCase):
    """Plays runs, and shows what they found."""

    def play(self, name: str, options: Options) -> Result:
        """The run of that name; the test fails unless it ends as it should."""
        result = play_named(name, options)
        if not is_as_expected(result):
            self.fail(f"{result.as_json()}\nthe end of the broker's log:\n{result.log}")
        return result


class KillTests(RunTestCase):
    """Our broker and its store."""

    def setUp(self) -> None:
        missing = why_not_ours()
        if missing is not None:
            raise SkipTest(missing)

    def test_qos_1(self) -> None:
        """Nothing that was acknowledged at QoS 1 is lost when the broker is killed at any moment."""
        result = self.play("qos1", Options(kills=3, messages=1500, seconds=SECONDS))
        self.assertGreater(result.counts["Acknowledged"], 1500)
        self.assertEqual(result.figures["kills"], 4)

    def test_qos_2(self) -> None:
        """Nothing is lost and nothing comes twice when it is killed at each step of both handshakes."""
        result = self.play("qos2", Options(kills=len(STEPS) + 1, seconds=SECONDS))
        self.assertEqual(result.figures["kills"], len(STEPS) + 2)

    def test_writer(self) -> None:
        """A kill of the writer is a pause in the acknowledgements, and nothing else."""
        result = self.play("writer", Options(kills=2, seconds=SECONDS))
        self.assertEqual(result.figures["writer kills"], 2)

    def test_retained_messages_and_wills(self) -> None:
        """They are what the specification says, whenever the broker was killed."""
        result = self.play("retained", Options(kills=2, messages=400, seconds=SECONDS))
        self.assertGreater(result.counts["WillSet"], 30)

    def test_subscriptions(self) -> None:
        """After SUBACK and UNSUBACK, what they say holds."""
        result = self.play("subscriptions", Options(kills=6, seconds=SECONDS))
        self.assertEqual(result.counts["Unsubscribed"], 1)

    def test_full(self) -> None:
        """While the store can't be written nothing is acknowledged, but QoS 0 goes on; then it recovers."""
        result = self.play("full", Options(kills=2, way="limit", seconds=SECONDS))
        self.assertEqual(result.figures["kills"], 2)

    def test_client(self) -> None:
        """Nothing that a client has stored is lost, or done twice, when the client is killed."""
        result = self.play("client", Options(kills=4, seconds=SECONDS))
        self.assertGreater(result.counts["Acknowledged"], 100)
        self.assertGreaterEqual(int(result.figures["client kills"]), 6)


class PowerTests(RunTestCase):
    """The writer of the store alone, on a disk whose power is cut."""

    def setUp(self) -> None:
        missing = why_not_ours() or why_no_shim()
        if missing is not None:
            raise SkipTest(missing)

    def test_full(self) -> None:
        """At `full`, a cut of the power takes nothing that was acknowledged, and the file opens."""
        result = self.play("power", Options(kills=10, seconds=SECONDS))
        self.assertEqual(result.figures["cuts"], 10)

    def test_what_is_not_synced_is_lost(self) -> None:
        """The cuts do harm: at `off`, they take what was acknowledged."""
        from tests.torture.run_power import power

        result = power(Options(kills=10, sync="off"), promise="full")
        self.assertGreater(result.rules["lost"], 0)


class LossTests(RunTestCase):
    """A broker that acknowledges what it has in memory only."""

    def setUp(self) -> None:
        if shutil.which("mosquitto") is None:
            raise SkipTest("not installed: mosquitto")

    def test_loss(self) -> None:
        """The run that ours passes finds what Mosquitto loses."""
        self.play("loss", Options(kills=1, messages=500, idle=2.0, seconds=SECONDS))

    def test_client(self) -> None:
        """Our client keeps its promises with Mosquitto, too, as long as that lives."""
        result = self.play("client", Options(broker="mosquitto", kills=4, seconds=SECONDS))
        self.assertGreater(result.counts["Acknowledged"], 100)
