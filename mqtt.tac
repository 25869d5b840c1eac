"""An MQTT broker for `twistd -ny mqtt.tac`, to be changed to your needs."""

from __future__ import annotations

from twisted.application.service import Application

from mqttwist.broker.settings import Settings
from mqttwist.net.login import accept_local
from mqttwist.net.service import BrokerService
from mqttwist.stores.sqlite.store import SQLiteStore

application = Application("mqtt")
broker = BrokerService(
    ["tcp:1883:interface=127.0.0.1"],
    settings=Settings(queue_messages=10_000, retry_interval=20.0),
    store=SQLiteStore("mqttwist.db"),  # without it, all is gone when the broker stops
    login=accept_local,  # or portal=make_portal([checker]), which asks for a user name and a password
)
broker.setServiceParent(application)
