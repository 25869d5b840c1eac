"""Every statement of both specifications has a check or a reason why not, and the page shows it."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.conform.page import FAILED, MISSING, page
from mqttwist.conform.registry import checks
from mqttwist.conform.statements import VERSION_NAMES, identifiers, statements
from mqttwist.conform.unproven import UNSUPPORTED, UNTESTABLE

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


class CoverageTests(SynchronousTestCase):
    def proven(self, version: int) -> set[str]:
        return {identifier for check in checks(version) for identifier in check.statements}

    def test_every_statement(self) -> None:
        """A statement that binds the Server has a check, or a reason why not."""
        for version in VERSION_NAMES:
            covered = self.proven(version) | UNSUPPORTED[version].keys() | UNTESTABLE[version].keys()
            for statement in statements(version):
                if statement.binds != "client":
                    self.assertIn(statement.identifier, covered, f"{statement} has neither check nor reason")

    def test_reasons(self) -> None:
        """A reason why not, one, is given for statements that exist, bind Servers, and have no check."""
        for version in VERSION_NAMES:
            self.assertEqual(UNSUPPORTED[version].keys() & UNTESTABLE[version].keys(), set())
            given = UNSUPPORTED[version] | UNTESTABLE[version]
            bind = {one.identifier for one in statements(version) if one.binds != "client"}
            self.assertEqual(given.keys() - bind, set())
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
