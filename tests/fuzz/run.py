"""Drive a target with Atheris: python -m tests.fuzz.run decode|broker [libFuzzer's options] [CORPUS ...]

Needs `pip install atheris`. What it finds is written to a file `crash-...`, which the same command with that
file as its argument runs again. Inputs that reach more code go into the first folder named.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["mqttwist"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(__doc__)
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
