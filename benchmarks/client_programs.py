"""Programs that publish or receive, each with one client library, for `clients.py`.

    python benchmarks/client_programs.py LIBRARY publish|receive PORT QOS MESSAGES

A program prints `ready` when it has connected (and subscribed), and begins when it reads a line. When all
messages were confirmed, written or received, it prints the CPU seconds of its process and the seconds since
the first of them.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

TOPIC = "benchmark/clients"
PAYLOAD = bytes(64)
WINDOW = 100  # messages of QoS 1 that are not confirmed at a time


class Stopwatch:
    """CPU and time from `start` to `stop`."""

    def start(self) -> None:
        self.cpu, self.time = time.process_time(), time.perf_counter()

    def stop(self) -> None:
        print(time.process_time() - self.cpu, time.perf_counter() - self.time, flush=True)


def say_ready() -> None:
    print("ready", flush=True)
    sys.stdin.readline()  # until the script says go


class Countdown:
    """Counts messages that come, and starts the watch with the first."""

    def __init__(self, messages: int) -> None:
        self.left = messages
        self.messages = messages
        self.watch = Stopwatch()

    def one(self) -> bool:
        """Whether that was the last."""
        if self.left == self.messages:
            self.watch.start()
        self.left -= 1
        if not self.left:
            self.watch.stop()
        return not self.left


# mqttwist, on Twisted


async def mqttwist_publish(reactor: Any, port: int, qos: int, messages: int) -> None:
    from mqttwist import MQTTClient

    client = MQTTClient(f"127.0.0.1:{port}", version="3.1.1", client_id="publisher")
    client.startService()
    await client.ready()
    say_ready()
    watch = Stopwatch()
    watch.start()
    await (publish_windowed(client, messages) if qos else publish_in_turn(client, messages))
    watch.stop()
    await client.stopService()


async def publish_in_turn(client: Any, messages: int) -> None:
    for _ in range(messages):
        await client.publish(TOPIC, PAYLOAD)


def publish_windowed(client: Any, messages: int) -> Any:
    from twisted.internet.defer import Deferred

    done: Deferred[None] = Deferred()
    left = confirmed = messages

    def publish() -> None:
        nonlocal left
        left -= 1
        client.publish(TOPIC, PAYLOAD, qos=1).addCallback(one_confirmed)

    def one_confirmed(result: object) -> None:
        nonlocal confirmed
        confirmed -= 1
        if left:
            publish()
        elif not confirmed:
            done.callback(None)

    for _ in range(WINDOW):
        publish()
    return done


async def mqttwist_receive(reactor: Any, port: int, qos: int, messages: int) -> None:
    from twisted.internet.defer import Deferred

    from mqttwist import MQTTClient

    client = MQTTClient(f"127.0.0.1:{port}", version="3.1.1", client_id="subscriber")
    done: Deferred[None] = Deferred()
    countdown = Countdown(messages)

    def received(message: object) -> None:
        if countdown.one():
            done.callback(None)

    client.startService()
    await client.call_for(TOPIC, received, qos=qos, buffer=1_000_000)
    say_ready()
    await done
    await client.stopService()


# paho-mqtt: a thread of its own, and callbacks


def paho_client(name: str) -> Any:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, name)
    client.max_inflight_messages_set(WINDOW)
    client.max_queued_messages_set(0)
    return client


def paho_publish(port: int, qos: int, messages: int) -> None:
    from threading import Event, Semaphore

    client = paho_client("publisher")
    connected, done = Event(), Event()
    room = Semaphore(WINDOW)
    confirmed = messages

    def on_publish(*details: object) -> None:
        nonlocal confirmed
        confirmed -= 1
        room.release()
        if not confirmed:
            done.set()

    client.on_connect = lambda *details: connected.set()
    client.on_publish = on_publish
    client.connect("127.0.0.1", port)
    client.loop_start()
    connected.wait(10)
    say_ready()
    watch = Stopwatch()
    watch.start()
    for _ in range(messages):
        room.acquire()
        client.publish(TOPIC, PAYLOAD, qos)
    done.wait()
    watch.stop()
    client.disconnect()
    client.loop_stop()


def paho_receive(port: int, qos: int, messages: int) -> None:
    client = paho_client("subscriber")
    countdown = Countdown(messages)

    def on_message(client: Any, userdata: object, message: object) -> None:
        if countdown.one():
            client.disconnect()

    client.on_connect = lambda *details: client.subscribe(TOPIC, qos)
    client.on_subscribe = lambda *details: say_ready()
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_forever()


# aiomqtt: paho under asyncio


async def aiomqtt_publish(port: int, qos: int, messages: int) -> None:
    import aiomqtt

    limits = {"max_inflight_messages": WINDOW, "max_queued_outgoing_messages": 0}
    async with aiomqtt.Client("127.0.0.1", port, identifier="publisher", **limits) as client:
        say_ready()
        watch = Stopwatch()
        watch.start()
        left = messages

        async def publish() -> None:
            nonlocal left
            while left:
                left -= 1
                await client.publish(TOPIC, PAYLOAD, qos)

        await asyncio.gather(*[publish() for _ in range(WINDOW if qos else 1)])
        watch.stop()


async def aiomqtt_receive(port: int, qos: int, messages: int) -> None:
    import aiomqtt

    client = aiomqtt.Client("127.0.0.1", port, identifier="subscriber")
    async with client:
        await client.subscribe(TOPIC, qos)
        say_ready()
        countdown = Countdown(messages)
        async for _ in client.messages:
            if countdown.one():
                return


def main() -> None:
    library, what, port, qos, messages = sys.argv[1:]
    program = globals()[f"{library}_{what}"]
    arguments = (int(port), int(qos), int(messages))
    if library == "mqttwist":
        from twisted.internet.task import react

        react(program, arguments)
    elif library == "paho":
        program(*arguments)
    else:
        asyncio.run(program(*arguments))


if __name__ == "__main__":
    main()
