"""The tests of mqttwist; both ``python -m pytest`` and ``trial tests`` run them."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is not a bug: no example of Hypothesis is judged by how long it took.
settings.register_profile("mqttwist", deadline=None)
settings.load_profile("mqttwist")
