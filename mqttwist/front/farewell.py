"""The end of TLS on asyncio's transports: what was written last is to be read."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Final

READ_SIZE: Final = 65_536  # bytes


def let_peer_talk(tls: ssl.SSLObject) -> None:
    """Have the farewell of TLS throw away what the peer still says before it answers.

    Python's own asyncio takes that for an error and closes the socket at once; the peer, whose next words are
    then answered by a reset, may never read what was written last.
    """
    unwrap = tls.unwrap

    def unwrap_when_all_is_read() -> None:
        with suppress(ssl.SSLError):  # there is no more, most often; what else it is, unwrap meets again
            while tls.read(READ_SIZE):
                pass
        unwrap()

    tls.unwrap = unwrap_when_all_is_read  # type: ignore[method-assign]
