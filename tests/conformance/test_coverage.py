"""Every statement of both specifications has a check or a reason why not, and the page shows it."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.conform.known import KNOWN
from mqttwist.conform.page import page
from mqttwist.conform.registry import checks
from mqttwist.conform.statements import VERSION_NAMES, identifiers, statements
from mqttwist.conform.untestable import UNTESTABLE
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"

# The chapters that are not finished, as the sections of their statements begin.
UNFINISHED: dict[int, tuple[str, ...]] = {
    MQTT_5: (),
    MQTT_3_1_1: (),
}  # fmt: skip


def begins(section: str, chapter: str) -> bool:
    return f"{section}.".startswith(f"{chapter.rstrip('.')}.")


class CoverageTests(SynchronousTestCase):
    def proven(self, version: int) -> set[str]:
        return {identifier for check in checks(version) for identifier in check.statements}

    def test_every_statement(self) -> None:
        """A statement that binds the Server has a check, or a reason why it cannot be tested."""
        for version, unfinished in UNFINISHED.items():
            missing: set[str] = set()
            for statement in statements(version):
                covered = self.proven(version) | UNTESTABLE[version].keys()
                if statement.binds != "client" and statement.identifier not in covered:
                    chapters = [one for one in unfinished if begins(statement.section, one)]
                    self.assertTrue(chapters, f"{statement} has neither a check nor a reason")
                    missing.update(chapters)
            self.assertEqual(missing, set(unfinished), "these are not unfinished any more")

    def test_reasons(self) -> None:
        """A reason why not is given for statements that exist and have no check."""
        for version in VERSION_NAMES:
            given = UNTESTABLE[version]
            self.assertEqual(given.keys() - identifiers(version), set())
            self.assertEqual(given.keys() & self.proven(version), set())
            self.assertTrue(all(given.values()))

    def test_known_failures(self) -> None:
        """Each check that is known to fail exists."""
        names = {check.name for version in VERSION_NAMES for check in checks(version)}
        self.assertEqual(KNOWN.keys() - names, set())

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
        """docs/conformance.md is what `python -m mqttwist.conform --page` writes today."""
        self.assertEqual(
            PAGE.read_text("utf-8").splitlines(),
            page().splitlines(),
            "run: python -m mqttwist.conform --page > docs/conformance.md",
        )
