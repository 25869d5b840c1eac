"""Fixtures of pytest: `mqtt_broker` in memory, `mqtt_server` with a port.

pytest loads this wherever mqttwist is installed, so what a fixture needs is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mqttwist.testing.broker import MemoryBroker
    from mqttwist.testing.server import MQTTServer


@pytest.fixture
def mqtt_broker() -> Iterator[MemoryBroker]:
    """A broker in memory on virtual time, `mqttwist.testing.MemoryBroker`: no port, no thread, no reactor."""
    from mqttwist.testing.broker import MemoryBroker

    broker = MemoryBroker()
    yield broker
    broker.close()


@pytest.fixture
def mqtt_server() -> Iterator[MQTTServer]:
    """A broker on a free port of the loopback interface, `mqttwist.testing.MQTTServer`, for any client."""
    from mqttwist.testing.server import MQTTServer

    with MQTTServer() as server:
        yield server
