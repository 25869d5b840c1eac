"""The command: its options, what it prints and its exit status, against a broker on virtual time."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.connection import ServerConnection
from mqttwist.conform import target
from mqttwist.conform.__main__ import PASSWORD_VARIABLE, main
from mqttwist.conform.registry import Check
from mqttwist.conform.rig import Rig
from mqttwist.conform.runner import Outcome, Verdict, run
from mqttwist.conform.virtual import VirtualBroker, VirtualLine, VirtualRig
from mqttwist.wire.connect import Connect
from mqttwist.wire.packet import MQTT_5

PINGRESP = b"\xd0\0"
ONE = ("--version", "5", "--only", "MQTT-1.5.7-1")  # it has two checks


class CommandTestCase(SynchronousTestCase):
    """`status` is the exit status of the command, `output` and `errors` what it wrote."""

    def setUp(self) -> None:
        self.virtual = VirtualBroker()
        self.is_gone = False
        case = self

        def rig(self: target.Target, version: int) -> Rig:
            if case.is_gone:
                raise ConnectionRefusedError("nobody listens")
            return VirtualRig(version, case.virtual, credentials=self.credentials)

        self.patch(target.Target, "rig", rig)

    def command(self, *arguments: str, stderr: io.StringIO | None = None) -> None:
        output, errors = io.StringIO(), stderr or io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            self.status = main(["localhost:1883", *arguments])
        self.output, self.errors = output.getvalue().splitlines(), errors.getvalue()

    def run_instead(self, function: Callable[[Check, Rig], Outcome]) -> None:
        """Have `function` run the checks."""
        self.patch(target, "run", function)


class RunTests(CommandTestCase):
    def test_one_statement(self) -> None:
        """A line for the statement, and a summary; nothing else where nobody looks on."""
        self.command(*ONE)
        self.assertEqual((self.status, self.errors), (0, ""))
        self.assertRegex(self.output[0], r"\AMQTT-1\.5\.7-1 {4}passed   [A-Z].*\.\Z")
        self.assertEqual(self.output[1:], ["version 5: 1 passed, 0 FAILED, 0 skipped, of 252 statements"])

    def test_failure(self) -> None:
        """Status 1 and what came instead, when a check fails on a broker that is still there."""
        self.run_instead(lambda check, rig: Outcome(check, Verdict.FAILED, "no"))
        self.command(*ONE)
        self.assertEqual((self.status, self.errors), (1, ""))
        self.assertRegex(self.output[1], r"\A {25}both_strings_of_a_pair_are_utf_8: no\Z")

    def test_progress(self) -> None:
        """On a terminal the check that runs is named, and wiped away in the end."""
        terminal = io.StringIO()
        with patch.object(terminal, "isatty", return_value=True):
            self.command(*ONE, stderr=terminal)
        self.assertIn("\r1/2 v5.datatypes.both_strings_of_a_pair_are_utf_8 ", self.errors)
        self.assertIn("\r2/2 v5.datatypes.string_pairs_arrive_as_they_were_sent ", self.errors)
        self.assertTrue(self.errors.endswith(f"\r{' ' * 79}\r"))
        self.assertEqual(self.output[-1], "version 5: 1 passed, 0 FAILED, 0 skipped, of 252 statements")

    def test_nothing_to_check(self) -> None:
        """Status 2 when no check has run: what binds clients only, is of the other version, or is slow."""
        for arguments in (
            ("--version", "5", "--only", "MQTT-3.1.2-20"),
            ("--version", "311", "--only", "MQTT-4.8.2-1"),
            ("--version", "311", "--only", "MQTT-3.1.2-24"),
        ):
            self.command(*arguments)
            self.assertEqual((self.status, self.errors), (2, "nothing was checked\n"), arguments)


class EndTests(CommandTestCase):
    def test_no_broker(self) -> None:
        """One line and status 2 when nobody listens."""
        self.is_gone = True
        self.command()
        self.assertEqual((self.status, self.output), (2, []))
        self.assertEqual(self.errors, "localhost:1883 can't be checked for MQTT 5.0: nobody listens\n")

    def test_the_broker_goes(self) -> None:
        """When the broker dies, what is known is printed, then one line, and no check fails for it."""

        def dies_under(check: Check, rig: Rig) -> Outcome:
            if check.function == "string_pairs_arrive_as_they_were_sent":
                self.is_gone = True
                return Outcome(check, Verdict.FAILED, "closed")
            return run(check, rig)

        self.run_instead(dies_under)
        self.command(*ONE)
        self.assertEqual(self.status, 2)
        self.assertEqual(self.output[-1], "version 5: 1 passed, 0 FAILED, 0 skipped, of 252 statements")
        self.assertEqual(
            self.errors,
            "localhost:1883 can't be checked for MQTT 5.0 any further, after "
            "v5.datatypes.string_pairs_arrive_as_they_were_sent: nobody listens\n",
        )

    def test_interrupted(self) -> None:
        """Ctrl-C prints what is known, and the status is 130; the other version is not begun."""

        def is_interrupted(check: Check, rig: Rig) -> Outcome:
            if check.function == "string_pairs_arrive_as_they_were_sent":
                raise KeyboardInterrupt
            return run(check, rig)

        self.run_instead(is_interrupted)
        self.command("--only", "MQTT-1.5.7-1")
        self.assertEqual((self.status, self.errors), (130, "interrupted after 1 of 2 checks\n"))
        self.assertEqual(self.output[1:], ["version 5: 1 passed, 0 FAILED, 0 skipped, of 252 statements"])


class LateLine(VirtualLine):
    """A Network Connection on which PINGRESP comes before what the broker has sent with it."""

    _held = b""

    def receive(self, seconds: float) -> bytes:
        data = self._held + super().receive(seconds)
        self._held = b""
        if data.endswith(PINGRESP) and data != PINGRESP:
            self._held = data.removesuffix(PINGRESP)
            return PINGRESP
        return data


class LagTests(CommandTestCase):
    def lag(self) -> float:
        return target.Target("localhost", 1883).measured(MQTT_5).lag

    def test_at_once(self) -> None:
        """A broker that sends what comes before PINGRESP before it is not waited for."""
        self.assertEqual(self.lag(), 0)

    def test_later(self) -> None:
        """A broker whose messages come after PINGRESP is given time, every time."""
        self.patch(VirtualRig, "_dial", lambda rig: LateLine(self.virtual.broker, "late"))
        self.assertGreaterEqual(self.lag(), target.LEAST_LAG)

    def test_what_cannot_be_measured(self) -> None:
        """A broker without QoS 2 is checked all the same, and nothing is left there."""
        self.virtual = VirtualBroker({"maximum_qos": 1})
        self.assertEqual(self.lag(), 0)
        self.assertEqual(len(self.virtual.broker.sessions), 0)


class LoginTests(CommandTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.virtual.broker.login = self.login
        self.patch(os, "environ", {})

    def login(self, connection: ServerConnection, connect: Connect) -> None:
        if (connect.username, connect.password) == ("user", b"secret"):
            connection.accept(None)
        else:
            connection.refuse(0x86, "")

    def test_credentials(self) -> None:
        """User name and password come from the options, the password from the environment without one."""
        self.command(*ONE, "--username", "user", "--password", "secret")
        self.assertEqual(self.status, 0)
        for word, status in (("secret", 0), ("wrong", 2)):
            self.patch(os, "environ", {PASSWORD_VARIABLE: word})
            self.command(*ONE, "--username", "user")
            self.assertEqual(self.status, status, word)

    def test_who_is_not_let_in(self) -> None:
        """One line and status 2 when the broker wants a password: no statement is called broken for that."""
        for arguments in ((), ("--username", "user"), ("--username", "user", "--password", "wrong")):
            self.command(*ONE, *arguments)
            self.assertEqual((self.status, self.output), (2, []))
            self.assertRegex(self.errors, r"\Alocalhost:1883 can't be checked for MQTT 5\.0: .*\n\Z")

    def test_mistakes(self) -> None:
        """An address that is none, an unknown statement and a password of nobody are refused."""
        for arguments in (
            [],
            ["localhost"],
            ["a:b"],
            ["a:\u00b2"],
            ["a:65536"],
            ["localhost:1", "--only", "MQTT-0"],
            ["localhost:1", "--password", "secret"],
        ):
            with self.subTest(arguments), redirect_stderr(io.StringIO()):
                self.assertRaises(SystemExit, main, arguments)
