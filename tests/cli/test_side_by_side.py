"""Command lines of mosquitto_pub, mosquitto_sub and mosquitto_rr: the same with ours, but for the name."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.cli.programs import Outcome, finish, ours, run, start, theirs
from tests.interop.broker import LOCAL_TCP, BrokerTestCase
from tests.interop.mosquitto import why_missing

# When, and what two brokers' runs never have in common.
TIMES = re.compile(rb'"tst":\s*"[^"]*"|\d{10}\.\d{9}')
SECONDS_LEFT = re.compile(rb'"message-expiry-interval":\d+')


def same(stdout: bytes) -> bytes:
    """Without the times that messages came at."""
    return SECONDS_LEFT.sub(b"", TIMES.sub(b"", stdout))


class SideBySideCase(BrokerTestCase):
    def setUp(self) -> None:
        missing = why_missing("mosquitto_pub", "mosquitto_sub", "mosquitto_rr")
        if missing is not None:
            self.skipTest(missing)
        super().setUp()

    @property
    def place(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port))

    def run_both(self, command: str, *arguments: str, stdin: bytes = b"") -> Outcome:
        """Run both with the same line: they must print the same and end with the same status."""
        line = (*self.place, *arguments)
        programs = (theirs(command), ours(command))
        if "-i" in line:  # one id, so one after the other
            done = [run(program, *line, stdin=stdin) for program in programs]
        else:
            processes = [start(program, *line) for program in programs]
            done = [finish(process, stdin) for process in processes]
        outcomes = [Outcome(same(one.stdout), one.status, one.stderr) for one in done]
        self.assertEqual(outcomes[1], outcomes[0], f"{command} {arguments}: {outcomes}")
        return outcomes[1]

    def retain(self, topic_name: str, payload: bytes, *more: str) -> None:
        """Have the broker keep a message."""
        done = run(theirs("pub"), *self.place, "-t", topic_name, "-r", "-s", *more, stdin=payload)
        self.assertEqual(done.status, 0)


class SubTests(SideBySideCase):
    def setUp(self) -> None:
        super().setUp()
        if self._testMethodName != "test_nobody_there":
            self.retain("house/hall/temp", b"21.5", "-q", "1")
            self.retain("house/hall/lamp", b'{"on": true, "w": 60.0}', "-q", "2")
            self.retain("house/cellar/raw", b"a\xffb\x01\n")

    def test_everyday(self) -> None:
        """Print one, print all with topics, filter out, without line breaks, only or no retained ones."""
        for line in (
            ("-t", "house/hall/temp", "-C", "1"),
            ("-t", "house/hall/temp", "-C", "1", "-v", "-q", "2"),
            ("-t", "house/hall/+", "-T", "house/hall/lamp", "-C", "1", "-V", "mqttv5"),
            ("-t", "house/cellar/raw", "-C", "1"),
            ("-t", "house/cellar/raw", "-C", "1", "-N", "-V", "31"),
            ("-t", "house/hall/temp", "-t", "house/hall/lamp", "-C", "2", "-v"),
            ("-t", "house/#", "-R", "-W", "1"),
            ("-t", "house/hall/temp", "-W", "1", "-k", "30", "-i", "me"),
            ("-t", "house/hall/temp", "-E"),
            ("-t", "house/hall/temp", "-C", "1", "--will-topic", "gone", "--will-payload", "x"),
        ):
            with self.subTest(line=line):
                self.run_both("sub", *line)

    def test_formats(self) -> None:
        """Formats, JSON among them."""
        for text in (
            "%t %p %q %r %l %m",
            "%-20t|%020x|%3p|%X",
            "%j",
            "%J",
            r"\e[92m%t\t%p\0@@%%@Y",
            "%C|%5E|%F|%P|%R|%A|%S|%D",
        ):
            for topic_name in ("house/hall/temp", "house/hall/lamp"):
                with self.subTest(text=text):
                    self.run_both("sub", "-t", topic_name, "-q", "2", "-C", "1", "-F", text)
        self.run_both("sub", "-t", "house/hall/lamp", "-C", "1", "-F", "%J", "--pretty")

    def test_url(self) -> None:
        """`-L` says all of it."""
        url = f"mqtt://127.0.0.1:{self.port}/house/hall/temp"
        outcomes = [run(program, "-L", url, "-C", "1", "-v") for program in (theirs("sub"), ours("sub"))]
        self.assertEqual(outcomes, [Outcome(b"house/hall/temp 21.5\n", 0)] * 2)

    def test_properties(self) -> None:
        """What MQTT 5.0 adds to a message is shown."""
        self.retain(
            "full",
            b"x",
            *("-D", "publish", "content-type", "text/plain", "-D", "publish", "user-property", "a", "b"),
            *("-D", "publish", "response-topic", "r", "-D", "publish", "correlation-data", "1"),
            *("-D", "publish", "payload-format-indicator", "1"),
        )
        done = self.run_both("sub", "-V", "5", "-t", "full", "-C", "1", "-F", "%C %P %R %D %F %12C|%-12R|")
        self.assertEqual(done.stdout, b"text/plain a:b r 1 1   text/plain|r           |\n")

    def test_remove_retained(self) -> None:
        """`--remove-retained` has the broker forget what came, though not what is filtered out.

        (mosquitto_sub 2.0.11 goes on for ever with `-C`, so that it is `-W` here.)
        """
        for program in (theirs("sub"), ours("sub")):
            self.retain("house/hall/temp", b"21.5", "-q", "1")
            line = (
                "-t",
                "house/#",
                "-T",
                "house/hall/lamp",
                "-T",
                "house/cellar/#",
                "--remove-retained",
                "-W",
                "1",
            )
            self.assertEqual(run(program, *self.place, *line), Outcome(b"21.5\n", 27))
            left = run(ours("sub"), *self.place, "-t", "house/hall/+", "-W", "1", "-F", "%t")
            self.assertEqual(left.stdout, b"house/hall/lamp\n")

    def test_session(self) -> None:
        """`-c` keeps a session, in which messages wait."""
        for version in ("311", "5"):
            for program in (theirs("sub"), ours("sub")):
                line = (*self.place, "-V", version, "-c", "-i", "kept", "-q", "1", "-t", "news")
                self.assertEqual(run(program, *line, "-E").status, 0)
                for text in ("1", "2"):
                    run(theirs("pub"), *self.place, "-t", "news", "-q", "1", "-m", text)
                done = run(program, *line, "-C", "2")
                self.assertEqual((done.stdout, done.status), (b"1\n2\n", 0), (version, program))
                self.assertEqual(run(program, *self.place, "-i", "kept", "-t", "x", "-E").status, 0)

    def test_wrong_lines(self) -> None:
        """A wrong command line, and nobody there: status 1 and nothing on the standard output."""
        for line in (
            (),
            ("-t", "a/#/b"),
            ("-t", "a", "-q", "3"),
            ("-t", "a", "-p", "70000"),
            ("-t", "a", "--foo"),
            ("-t", "a", "-C", "0"),
            ("-t", "a", "-W", "0"),
            ("-t", "a", "-i", "x", "-I", "y"),
            ("-t", "a", "-c"),
            ("-t", "a", "-F", "%z"),
            ("-t", "a", "-V", "6"),
            ("-t", "a", "-R", "--retained-only"),
            ("-t", "a", "--cert", "x"),
            ("-t", "a", "--cafile", "/does/not/exist"),
            ("-t", "a", "--will-payload", "x"),
            ("-t", "a", "-L", "http://x/y"),
        ):
            with self.subTest(line=line):
                self.assertEqual(self.run_both("sub", *line), Outcome(b"", 1))

    def test_interrupted(self) -> None:
        """Ctrl-C ends it in order: what came was printed, the will is not published, the status is 0."""
        for program in (theirs("sub"), ours("sub")):
            process = start(program, *self.place, "-t", "house/hall/temp", "-i", "me", "-V", "311")
            assert process.stdout is not None
            self.assertEqual(process.stdout.readline(), b"21.5\n")
            process.send_signal(signal.SIGINT)
            self.assertEqual(finish(process), Outcome(b"", 0), program)

    def test_nobody_there(self) -> None:
        """A connection that can't be made has status 1."""
        for command, more in (("sub", ()), ("pub", ("-m", "x"))):
            line = ("-h", "127.0.0.1", "-p", "1", "-t", "a", *more)
            outcomes = [run(program, *line) for program in (theirs(command), ours(command))]
            self.assertEqual(outcomes, [Outcome(b"", 1)] * 2)
            self.assertEqual(outcomes[1].stderr, b"Error: Connection refused\n")


class PubTests(SideBySideCase):
    def published_by(self, line: tuple[str, ...], stdin: bytes, messages: int) -> list[Outcome]:
        """What a subscriber sees of a run of theirs, and of ours."""
        seen: list[Outcome] = []
        for program in (theirs("pub"), ours("pub")):
            client_id = f"watch-{len(seen)}-{abs(hash(line))}"
            watch = start(
                theirs("sub"),
                *self.place,
                *("-V", "5", "-i", client_id, "-q", "2", "-t", "#", "-C", str(messages)),
                *("-F", "%t|%p|%q|%r|%C|%P|%R|%D|%F", "--retain-as-published"),
            )
            self.broker.wait_for(f"'{client_id}' subscribed to")
            done = run(program, *self.place, *line, stdin=stdin)
            self.assertEqual((done.stdout, done.status), (b"", 0), (program, line, done.stderr))
            seen.append(finish(watch))
        return seen

    def test_everyday(self) -> None:
        """One message, a retained one, an empty one, a file, the standard input, lines, repetition."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"from\n a file\0\xff")
            file.flush()
            cases: tuple[tuple[tuple[str, ...], bytes, int], ...] = (
                (("-t", "a/b", "-m", "hello"), b"", 1),
                (("-t", "a/b", "-m", "h\u00e9", "-q", "1", "-V", "mqttv31"), b"", 1),
                (("-t", "a/b", "-m", "-x", "-q", "2", "-V", "5", "-i", "me"), b"", 1),
                (("-t", "a/r", "-m", "kept", "-r"), b"", 1),
                (("-t", "a/n", "-n", "-r"), b"", 1),
                (("-t", "a/f", "-f", file.name), b"", 1),
                (("-t", "a/s", "-s"), b"all\nof\0it", 1),
                (("-t", "a/l", "-l", "-q", "1"), b"1\n\n3\r\nlast", 4),
                (("-t", "a/b", "-m", "x", "--repeat", "3", "--repeat-delay", "0.1"), b"", 3),
                (("-t", "a/b", "-m", "", "-q", "1"), b"", 1),
                (("-L", f"mqtt://127.0.0.1:{self.port}/a/url", "-m", "x"), b"", 1),
                (("-t", "p", "-m", "x", "-D", "publish", "user-property", "k", "v"), b"", 1),
                (("-t", "p", "-m", "x", "-D", "PUBLISH", "content-type", "text/x", "-q", "1"), b"", 1),
            )
            for line, stdin, messages in cases:
                if "-L" in line:
                    continue  # which says where the broker is, and so does `place`
                with self.subTest(line=line):
                    first, second = self.published_by(line, stdin, messages)
                    self.assertEqual(second, first)
                    self.assertEqual(second.stdout.count(b"|") // 8, messages)

    def test_url(self) -> None:
        """`-L` names the broker and the topic."""
        for program in (theirs("pub"), ours("pub")):
            line = ("-L", f"mqtt://127.0.0.1:{self.port}/a/url", "-r", "-m", program[0])
            self.assertEqual(run(program, *line), Outcome(b"", 0))
            done = run(theirs("sub"), *self.place, "-t", "a/url", "-C", "1")
            self.assertEqual(done.stdout.decode().rstrip(), program[0])

    def test_wrong_lines(self) -> None:
        """A wrong command line has status 1."""
        for line in (
            ("-t", "a", "-m", "x", "-n"),
            ("-t", "a/#", "-m", "x"),
            ("-t", "a", "-f", "/does/not/exist"),
            ("-t", "a", "-m", "x", "-q", "3"),
            ("-t", "a", "-m", "x", "-D", "publish", "foo", "1"),
            ("-t", "a", "-m", "x", "-D", "publish", "subscription-identifier", "1"),
            ("-t", "a", "-m", "x", "-D", "publish", "user-property", "a"),
            ("-m", "x", "-t"),
        ):
            with self.subTest(line=line):
                self.assertEqual(self.run_both("pub", *line), Outcome(b"", 1))


class LoginTests(SideBySideCase):
    def setUp(self) -> None:
        super().setUp()
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.file = str(Path(folder, "passwords"))
        subprocess.run(
            [*ours("passwd"), self.file, "alice", "--password-stdin", "--kind", "scrypt"],
            input=b"wonder",
            check=True,
        )
        self.own_port = self.start_broker(
            "--listen", LOCAL_TCP, "--auth", f"mqtt-passwords:{self.file}"
        ).ports[0]

    @property
    def place(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.own_port))

    def test_status(self) -> None:
        """A login that is refused has CONNACK's code as its status, in both versions; one that is not, 0."""
        for command, more in (("pub", ("-m", "x")), ("sub", ("-E",))):
            for version in ("311", "5"):
                line = ("-t", "a", "-V", version, *more)
                refused = self.run_both(command, *line, "-u", "alice", "-P", "wrong")
                self.assertIn(refused.status, (4, 134))
                self.assertNotEqual(self.run_both(command, *line).status, 0)
                self.assertEqual(self.run_both(command, *line, "-u", "alice", "-P", "wonder").status, 0)

    def test_password_of_the_environment(self) -> None:
        """MQTT_PASSWORD stands for `-P`, so that nobody sees it in the list of processes."""
        line = (*self.place, "-t", "a", "-E", "-u", "alice")
        self.assertEqual(run(ours("sub"), *line, MQTT_PASSWORD="wonder").status, 0)
        self.assertEqual(run(ours("sub"), *line, MQTT_PASSWORD="wrong").status, 4)


class RequestTests(SideBySideCase):
    def test_response(self) -> None:
        """The first message to the response topic is the response; here the request itself."""
        for version in ("5", "311"):
            line = ("-V", version, "-t", "ping", "-e", "ping", "-m", "1+1", "-q", "1")
            self.assertEqual(self.run_both("rr", *line).stdout, b"1+1\n")
        self.assertEqual(
            self.run_both("rr", "-t", "ping", "-e", "ping", "-m", "x", "-F", "%t %R %p").stdout,
            b"ping ping x\n",
        )

    def test_nobody_answers(self) -> None:
        """`-W` ends it with status 27."""
        self.assertEqual(self.run_both("rr", "-t", "q", "-e", "a", "-n", "-W", "1"), Outcome(b"", 27))

    def test_wrong_line(self) -> None:
        """Without a response topic there is nothing to wait for: status 1."""
        self.assertEqual(self.run_both("rr", "-t", "q", "-m", "x").status, 1)
