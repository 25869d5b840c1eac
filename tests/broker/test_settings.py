"""`mqttwist.broker.settings`: every row of the table has a range, and the range is held."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.settings import Settings


class SettingsTests(SynchronousTestCase):
    def test_every_row(self) -> None:
        """Each setting says its unit and what it does, and its default lies in its range."""
        for row in fields(Settings):
            with self.subTest(row.name):
                self.assertTrue(row.metadata["unit"])
                self.assertTrue(row.metadata["help"])
                self.assertTrue(row.metadata["minimum"] <= row.default <= row.metadata["maximum"])

    def test_the_range_is_held(self) -> None:
        """Both ends of the range are allowed, and what lies outside is a `ValueError` that says so."""
        for row in fields(Settings):
            least, most = row.metadata["minimum"], row.metadata["maximum"]
            for value in (least, most):
                with self.subTest(row.name, value=value):
                    self.assertEqual(getattr(self.settings(row.name, value), row.name), value)
            wrong = [least - 1, most + 1]
            if row.type == "float":
                wrong.append(float("nan"))
            for value in wrong:
                with self.subTest(row.name, value=value):
                    error = self.assertRaises(ValueError, self.settings, row.name, value)
                    self.assertIn(row.name, str(error))
                    self.assertIn(row.metadata["unit"], str(error))

    def settings(self, name: str, value: float) -> Settings:
        options: dict[str, Any] = {name: value}
        return Settings(**options)

    def test_settings_do_not_change(self) -> None:
        """The table is frozen: a broker's limits are those it was started with."""
        with self.assertRaises(FrozenInstanceError):
            Settings().receive_maximum = 5  # type: ignore[misc]
