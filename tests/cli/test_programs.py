"""Our commands as programs: what has no counterpart to compare with, or is better looked at by itself."""

from __future__ import annotations

import json
import signal
import tempfile
from pathlib import Path

from tests.cli.programs import Outcome, finish, ours, run, start, wait_until
from tests.interop.broker import LOCAL_TCP, BrokerTestCase
from tests.interop.certificates import make_certificate


class ProgramCase(BrokerTestCase):
    @property
    def place(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port))

    def publish(self, topic_name: str, payload: bytes, *more: str) -> None:
        done = run(ours("pub"), *self.place, "-t", topic_name, "-s", *more, stdin=payload)
        self.assertEqual(done, Outcome(b"", 0), done.stderr)


class SubTests(ProgramCase):
    def test_json(self) -> None:
        """`--json` prints a message as one line: text where it is UTF-8, base64 where not, and properties."""
        self.publish("a/text", "é\n".encode(), "-r", "-q", "1", "-D", "publish", "content-type", "text/plain")
        self.publish("a/raw", b"\xff", "-r")
        done = run(ours("sub"), *self.place, "-V", "5", "-t", "a/#", "-q", "1", "-C", "2", "--json")
        found = {one["topic"]: one for one in map(json.loads, done.stdout.splitlines())}
        text, raw = found["a/text"], found["a/raw"]
        self.assertEqual((text["payload"], text["qos"], text["retain"]), ("é\n", 1, True))
        self.assertEqual(text["properties"], {"content_type": "text/plain"})
        self.assertEqual((raw["payload_base64"], raw["qos"]), ("/w==", 0))
        self.assertRegex(raw["time"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")

    def test_order(self) -> None:
        """What two filters match is printed in the order in which it was published, each message once."""
        watch = start(
            ours("sub"), *self.place, "-i", "watch", "-t", "a/0", "-t", "a/1", "-t", "a/+", "-C", "100", "-v"
        )
        self.broker.wait_for("'watch' subscribed to", 3)
        lines = b"".join(b"%d\n" % number for number in range(50))
        self.publish("a/1", b"first")
        done = run(ours("pub"), *self.place, "-t", "a/0", "-l", stdin=lines)
        self.assertEqual(done.status, 0)
        done = run(ours("pub"), *self.place, "-t", "a/1", "-l", stdin=lines)
        printed = finish(watch).stdout.splitlines()
        expected = [b"a/1 first"] + [b"a/0 %d" % number for number in range(50)]
        expected += [b"a/1 %d" % number for number in range(49)]
        self.assertEqual(printed, expected)

    def test_pipe_closed(self) -> None:
        """When nobody reads any more it leaves without a word."""
        watch = start(ours("sub"), *self.place, "-i", "watch", "-t", "a", "-v")
        self.broker.wait_for("'watch' subscribed to")
        assert watch.stdout is not None
        watch.stdout.close()
        self.publish("a", b"x")
        assert watch.stderr is not None
        self.assertEqual((watch.wait(20), watch.stderr.read()), (141, b""))
        watch.stderr.close()
        assert watch.stdin is not None
        watch.stdin.close()
        self.broker.wait_for("'watch' disconnected")

    def test_unacknowledged(self) -> None:
        """A message beyond `-C` stays with the broker, and is there the next time."""
        line = (*self.place, "-V", "5", "-i", "kept", "-c", "-t", "a", "-q", "1")
        self.assertEqual(run(ours("sub"), *line, "-E").status, 0)
        self.publish("a", b"1\n", "-q", "1")
        self.publish("a", b"2\n", "-q", "1")
        self.assertEqual(run(ours("sub"), *line, "-C", "1", "-N").stdout, b"1\n")
        self.assertEqual(run(ours("sub"), *line, "-C", "1", "-N").stdout, b"2\n")

    def test_stats(self) -> None:
        """`--stats` counts in place of printing, and ends with what it has counted."""
        watch = start(ours("sub"), *self.place, "-i", "watch", "-t", "a", "--stats", "-C", "2")
        self.broker.wait_for("'watch' subscribed to")
        for _ in range(2):
            self.publish("a", b'{"ts": 1}')
        done = finish(watch)
        self.assertEqual(done.status, 0, done.stderr)
        self.assertIn(b" 2 in all; gap p50 ", done.stdout)
        self.assertIn(b"; latency p50 ", done.stdout)

    def test_unsubscribe(self) -> None:
        """`-U` ends a subscription that a session has from before."""
        line = (*self.place, "-i", "kept", "-c")
        run(ours("sub"), *line, "-t", "a", "-E")
        self.assertEqual(run(ours("sub"), *line, "-U", "a", "-E").status, 0)
        self.broker.wait_for("'kept' unsubscribed from")

    def test_debug(self) -> None:
        """`-d` shows packets on the standard error, without the password."""
        done = run(ours("sub"), *self.place, "-t", "a", "-E", "-d", "-u", "me", "-P", "secret")
        self.assertEqual((done.stdout, done.status), (b"", 0))
        self.assertIn(b"-> Connect(", done.stderr)
        self.assertIn(b"<- SubAck(", done.stderr)
        self.assertNotIn(b"secret", done.stderr)

    def test_broker_gone(self) -> None:
        """A broker that goes away is waited for: `sub` stays, and connects again."""
        broker = self.start_broker("--listen", LOCAL_TCP)
        watch = start(ours("sub"), "-h", "127.0.0.1", "-p", str(broker.ports[0]), "-i", "watch", "-t", "a")
        broker.wait_for("'watch' subscribed to")
        broker.stop()
        again = self.start_broker("--listen", f"tcp:{broker.ports[0]}:interface=127.0.0.1")
        again.wait_for("'watch' subscribed to")
        watch.send_signal(signal.SIGTERM)
        self.assertEqual(finish(watch), Outcome(b"", 0))


class PubTests(ProgramCase):
    def test_lines_are_sent_as_they_come(self) -> None:
        """`-l` does not wait for the end of the standard input."""
        watch = start(ours("sub"), *self.place, "-i", "watch", "-t", "a", "-C", "2")
        self.broker.wait_for("'watch' subscribed to")
        publisher = start(ours("pub"), *self.place, "-t", "a", "-l")
        assert publisher.stdin is not None and watch.stdout is not None
        publisher.stdin.write(b"1\n")
        publisher.stdin.flush()
        self.assertEqual(watch.stdout.readline(), b"1\n")
        self.assertEqual(finish(publisher, b"2\n"), Outcome(b"", 0))
        self.assertEqual(finish(watch).stdout, b"2\n")

    def test_many_lines(self) -> None:
        """All lines of a large file arrive, in order, at QoS 1."""
        lines = b"".join(b"line %d\n" % number for number in range(5_000))
        watch = start(ours("sub"), *self.place, "-i", "watch", "-t", "a", "-q", "1", "-C", "5000")
        self.broker.wait_for("'watch' subscribed to")
        done = run(ours("pub"), *self.place, "-t", "a", "-q", "1", "-l", stdin=lines)
        self.assertEqual(done, Outcome(b"", 0), done.stderr)
        self.assertTrue(finish(watch).stdout == lines)

    def test_interrupted(self) -> None:
        """Ctrl-C while it waits for lines ends it at once, with a shell's status for it."""
        publisher = start(ours("pub"), *self.place, "-i", "me", "-t", "a", "-l")
        self.broker.wait_for("'me' connected")
        publisher.send_signal(signal.SIGINT)
        assert publisher.stdin is not None
        self.assertEqual(publisher.wait(20), 130)
        finish(publisher)

    def test_connection_lost(self) -> None:
        """When the connection breaks before a message is confirmed, the status is 7."""
        broker = self.start_broker("--listen", LOCAL_TCP)
        publisher = start(
            ours("pub"), "-h", "127.0.0.1", "-p", str(broker.ports[0]), "-i", "me", "-t", "a", "-m", "x",
            "--repeat", "1000", "--repeat-delay", "0.1",
        )  # fmt: skip
        broker.wait_for("'me' connected")
        broker.stop()
        self.assertEqual(finish(publisher), Outcome(b"", 7))

    def test_will(self) -> None:
        """A publisher that is killed has its will published."""
        watch = start(ours("sub"), *self.place, "-i", "watch", "-t", "gone", "-C", "1", "-F", "%p %q")
        self.broker.wait_for("'watch' subscribed to")
        publisher = start(
            ours("pub"),
            *self.place,
            "-i",
            "me",
            "-t",
            "a",
            "-l",
            "--will-topic",
            "gone",
            "--will-payload",
            "x",
        )
        self.broker.wait_for("'me' connected")
        publisher.kill()
        finish(publisher)
        self.assertEqual(finish(watch).stdout, b"x 0\n")


class TransportTests(ProgramCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_tls(self) -> None:
        """TLS with a certificate that we trust; and not with one that we don't, or of another host."""
        key, certificate = make_certificate(self.folder)
        broker = self.start_broker(
            "--listen", f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
        )
        port = str(broker.ports[0])
        line = ("-p", port, "-t", "a", "-E")
        trust = ("--cafile", str(certificate))
        folder = self.folder / "trusted"
        folder.mkdir()
        (folder / "one.crt").write_bytes(certificate.read_bytes())
        for good in (
            ("-h", "localhost", *trust),
            ("-h", "127.0.0.1", *trust, "--tls-version", "tlsv1.3"),
            ("-h", "localhost", "--capath", str(folder)),
        ):
            done = run(ours("sub"), *line, *good)
            self.assertEqual(done.status, 0, done.stderr)
        for bad in (
            ("-h", "localhost", "--tls-use-os-certs"),
            ("-h", "127.0.0.1"),
        ):
            done = run(ours("sub"), *line, *bad, "-W", "5")
            self.assertNotEqual((done.status, done.stderr), (0, b""), bad)

    def test_unix(self) -> None:
        """`--unix` reaches a broker by a socket's path."""
        path = self.folder / "s"
        self.start_broker("--listen", f"unix:{path}")
        wait_until(path.exists)
        done = run(ours("pub"), "--unix", str(path), "-t", "a", "-m", "x", "-q", "2")
        self.assertEqual(done, Outcome(b"", 0), done.stderr)


class BenchTests(ProgramCase):
    def test_json(self) -> None:
        """A bounded load, and what was measured; nothing is lost at QoS 1."""
        line = (
            "--publishers",
            "2",
            "--subscribers",
            "2",
            "--count",
            "50",
            "-q",
            "1",
            "--json",
            "--topics",
            "3",
        )
        done = run(ours("bench"), *self.place, *line)
        self.assertEqual(done.status, 0, done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual((found["published"], found["received"], found["expected"]), (100, 200, 200))
        latency = found["latency_ms"]
        self.assertEqual(list(latency), ["p50", "p90", "p99", "p99.9", "max", "mean"])
        self.assertLessEqual(latency["p50"], latency["max"])
        self.assertGreater(latency["p50"], 0)

    def test_rate(self) -> None:
        """With `--rate` so many are published in the duration, and no more."""
        done = run(ours("bench"), *self.place, "--rate", "50", "--duration", "1", "--json", "-V", "5")
        found = json.loads(done.stdout)
        self.assertLessEqual(found["published"], 51)
        self.assertGreater(found["published"], 10)
        self.assertEqual(found["received"], found["published"])

    def test_text(self) -> None:
        """For people: rates and percentiles, without subscribers no latency."""
        done = run(ours("bench"), *self.place, "--count", "10", "--subscribers", "0")
        self.assertEqual((done.status, done.stdout.count(b"\n")), (0, 2), done)
        done = run(ours("bench"), *self.place, "--count", "10", "-q", "2")
        self.assertIn(b"latency   p50 ", done.stdout)

    def test_nobody_there(self) -> None:
        """A broker that is not there: status 1 and one line."""
        done = run(ours("bench"), "-h", "127.0.0.1", "-p", "1", "--count", "1")
        self.assertEqual((done, done.stderr), (Outcome(b"", 1), b"Error: Connection refused\n"))
