"""What the core tells mypyc of its classes; plain Python is told nothing. This module is never compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:  # so that nothing has to be installed for it

    def mypyc_attr(**ways):
        """`acyclic=True`: no instance is ever part of a cycle, so the garbage collector need not know of it.

        What waits in queues is most of what a broker holds. Untracked it takes 16 bytes less an object, and
        a message into the queue of an offline session a sixth less CPU (compiled).
        """
        return lambda cls: cls
