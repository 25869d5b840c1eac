"""Every statement of both specifications has a check or a reason why not, and the page shows it."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.conform.page import FAILED, MISSING, page
from mqttwist.conform.proofs import proofs
from mqttwist.conform.registry import checks
from mqttwist.conform.statements import VERSION_NAMES, identifiers, statements
from mqttwist.conform.unproven import UNSUPPORTED, UNTESTABLE
from tests.client.statements import rows

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


class CoverageTests(SynchronousTestCase):
    def proven(self, version: int) -> set[str]:
        return {identifier for check in checks(version) for identifier in check.statements}

    def test_every_statement(self) -> None:
        """A statement that binds Servers has a check, one that binds Clients a test, or a reason why not."""
        for version in VERSION_NAMES:
            reasons = UNSUPPORTED[version].keys() | UNTESTABLE[version].keys()
            by_broker = self.proven(version) | reasons
            by_client = {one.statement for one in proofs() if one.version == version} | reasons
            for statement in statements(version):
                said = f"{statement} has neither check nor reason"
                if statement.binds != "client":
                    self.assertIn(statement.identifier, by_broker, said)
                if statement.binds != "server":
                    self.assertIn(statement.identifier, by_client, said)

    def test_client(self) -> None:
        """The tests of the client name statements that exist, and the table says what they say."""
        said = "run: python -m tests.client.statements > mqttwist/conform/client.tsv"
        self.assertEqual([astuple(one) for one in proofs()], sorted(rows()), said)
        for proof in proofs():
            self.assertIn(proof.statement, identifiers(proof.version), proof.test)
            self.assertRegex(proof.sentence, r"\A[A-Z0-9].*[^.]\.\Z", proof.test)

    def test_reasons(self) -> None:
        """A reason why not, one, is given for statements that exist and have no check."""
        for version in VERSION_NAMES:
            self.assertEqual(UNSUPPORTED[version].keys() & UNTESTABLE[version].keys(), set())
            given = UNSUPPORTED[version] | UNTESTABLE[version]
            self.assertEqual(given.keys() - identifiers(version), set())
            self.assertEqual(given.keys() & self.proven(version), set())
            self.assertTrue(all(given.values()))

    def test_sentences(self) -> None:
        """Each check says what must hold, in one sentence."""
        for version in VERSION_NAMES:
            for check in checks(version):
                self.assertRegex(check.sentence, r"\A[A-Z].*[^.]\.\Z", check.name)

    def test_tables(self) -> None:
        """The tables hold all statements: 252 of MQTT 5.0 and 141 of MQTT 3.1.1, each once."""
        self.assertEqual([len(statements(version)) for version in VERSION_NAMES], [252, 141])
        self.assertEqual([len(identifiers(version)) for version in VERSION_NAMES], [252, 141])
        for version in VERSION_NAMES:
            self.assertLessEqual({one.binds for one in statements(version)}, {"server", "client", "both"})

    def test_page(self) -> None:
        """docs/conformance.md is what the command writes today, and says of no statement that it fails."""
        lines = page().splitlines()
        said = "run: python -m mqttwist.conform --page > docs/conformance.md"
        self.assertEqual(PAGE.read_text("utf-8").splitlines(), lines, said)
        rows = [line.split(" | ") for line in lines if line.startswith("| MQTT-")]
        self.assertEqual(len(rows), 252 + 141)
        for identifier, _, result, *_ in rows:
            self.assertNotIn(result, (FAILED, MISSING), identifier)
