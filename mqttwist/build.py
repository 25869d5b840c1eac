"""Which build of the core is running."""

from __future__ import annotations

from mqttwist.wire import decoder

BUILD = "plain" if (decoder.__file__ or "").endswith(".py") else "compiled"
"""`compiled` by mypyc, or `plain` Python: the same files, the same behaviour."""
