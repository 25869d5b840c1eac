"""What runs while the power is cut: opens a store as the broker does, and has a writer write to it.

`python -m tests.torture.power_subject PATH SYNC`: its standard input and output become those of the writer.
"""

from __future__ import annotations

import os
import subprocess
import sys

from mqttwist.stores.sqlite.file import open_store
from tests.torture.brokers import WRITER


def main(path: str, sync: str) -> int:
    """The exit status of the writer."""
    store = open_store(path)
    os.set_inheritable(store.lock_fd, True)
    command = [sys.executable, "-m", WRITER, path, "--sync", sync, "--lock-fd", str(store.lock_fd)]
    return subprocess.call(command, pass_fds=(store.lock_fd,))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
