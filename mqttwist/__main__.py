"""`python -m mqttwist --version` says what is installed."""

from __future__ import annotations

import argparse
import platform

from mqttwist import __version__
from mqttwist.build import BUILD


def main() -> None:
    """The command line; there is but one option yet."""
    parser = argparse.ArgumentParser(
        prog="python -m mqttwist", description="The broker itself is run by `twistd mqtt`."
    )
    version = f"mqttwist {__version__} ({BUILD}, Python {platform.python_version()})"
    parser.add_argument("--version", action="version", version=version)
    parser.parse_args()
    parser.print_help()


if __name__ == "__main__":
    main()
