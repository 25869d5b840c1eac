"""Which checks there are, and what each proves."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from mqttwist.conform.rig import Rig
from mqttwist.conform.statements import VERSION_NAMES, identifiers
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5

Function = Callable[[Rig], None]

PACKAGES: Final[dict[int, str]] = {MQTT_5: "v5", MQTT_3_1_1: "v311"}


@dataclass(frozen=True, slots=True)
class Check:
    """One check of protocol `version`, which proves `statements`.

    `name` is unique: ``v5.connect.pingreq_is_answered``. A `slow` check waits for a second or more. The
    `settings` are those of the broker on virtual time, for statements about Servers with limits.
    """

    version: int
    name: str
    statements: tuple[str, ...]
    run: Function
    slow: bool
    settings: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """What must hold, in words."""
        return " ".join((self.run.__doc__ or "").split())

    @property
    def function(self) -> str:
        """The name of the function."""
        return self.name.rpartition(".")[2]


class Checks:
    """The checks of one protocol version, in the order in which they were written down."""

    def __init__(self, version: int) -> None:
        self.version = version
        self._checks: dict[str, Check] = {}

    def statement(self, *proven: str, slow: bool = False, **settings: Any) -> Callable[[Function], Function]:
        """Register a function as a check of the statements `proven`; `slow` and `settings` as in `Check`.

        A function of MQTT 5.0 may be registered for 3.1.1 as well. Raises `ValueError` for an identifier that
        the specification does not have, and for a second check of the same name.
        """

        def register(function: Function) -> Function:
            module = function.__module__.rpartition(".")[2]
            name = f"{PACKAGES[self.version]}.{module}.{function.__name__}"
            unknown = [one for one in proven if one not in identifiers(self.version)]
            if unknown or not proven:
                raise ValueError(f"{name}: {unknown} is no statement of {VERSION_NAMES[self.version]}")
            if name in self._checks:
                raise ValueError(f"there are two checks named {name}")
            self._checks[name] = Check(self.version, name, proven, function, slow, settings)
            return function

        return register

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks.values())


@cache
def checks(version: int) -> tuple[Check, ...]:
    """All checks of protocol `version` (4 or 5), module by module, whichever was imported first."""
    package = importlib.import_module(f"mqttwist.conform.{PACKAGES[version]}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return tuple(sorted(package.CHECKS, key=lambda check: check.name.rpartition(".")[0]))


def checks_in(version: int, module: str) -> tuple[Check, ...]:
    """The checks of one section's `module`, by its last name."""
    prefix = f"{PACKAGES[version]}.{module}."
    return tuple([check for check in checks(version) if check.name.startswith(prefix)])
