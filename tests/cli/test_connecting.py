"""What the options of the command line come to: where to connect, as whom, and what is refused."""

from __future__ import annotations

import os
from typing import Any
from unittest.mock import patch

import click
from click.testing import CliRunner
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.cli.connecting import URL, CommandClient, Connecting
from mqttwist.cli.options import ConnectOptions, MosquittoCommand, connection_options
from mqttwist.session.session import NEVER
from mqttwist.wire.packet import MQTT_3_1, MQTT_3_1_1, MQTT_5
from mqttwist.wire.properties import Properties


@click.command(cls=MosquittoCommand, context_settings={"help_option_names": ["--help"]})
@connection_options
@click.option("-m", "--message")
@click.pass_obj
def probe(found: dict[str, Any], /, message: str | None, **given: Any) -> None:
    """Takes the options, and does nothing."""
    found["options"] = ConnectOptions.taken_from(given)
    found["message"] = message


def options(*arguments: str) -> ConnectOptions:
    """What a command line with these arguments says. Raises `ValueError` with what click has to say."""
    found: dict[str, Any] = {}
    result = CliRunner().invoke(probe, arguments, obj=found)
    if result.exit_code:
        assert result.exit_code == 1, result.exit_code
        raise ValueError(result.output)
    taken = found["options"]
    assert isinstance(taken, ConnectOptions)
    return taken


class ConnectingCase(SynchronousTestCase):
    def connecting(self, *arguments: str) -> Connecting:
        return Connecting(options(*arguments))

    def client(self, *arguments: str) -> CommandClient:
        return self.connecting(*arguments).client(MemoryReactorClock())


class URLTests(SynchronousTestCase):
    def test_parts(self) -> None:
        """User, password, host, port and topic; a topic may hold what a URL may not."""
        self.assertEqual(
            URL.parse("mqtt://me:a:b@broker:1884/a/+/#"), URL(False, "broker", 1884, "me", "a:b", "a/+/#")
        )
        self.assertEqual(URL.parse("mqtts://broker/t"), URL(True, "broker", None, None, None, "t"))
        self.assertEqual(URL.parse("mqtt://me@[::1]:1/t"), URL(False, "::1", 1, "me", None, "t"))
        self.assertEqual(URL.parse("mqtt://[::1]"), URL(False, "::1", None, None, None, ""))

    def test_refused(self) -> None:
        """Another scheme, a port that is none, no host; WebSocket has a text of its own."""
        for text in ("http://h/t", "broker", "mqtt://h:x/t", "mqtt://h:0/t", "mqtt:///t"):
            self.assertRaises(ValueError, URL.parse, text)
        self.assertIn("WebSocket", str(self.assertRaises(ValueError, URL.parse, "ws://h/t")))


class PlaceTests(ConnectingCase):
    def endpoint(self, *arguments: str) -> Any:
        return self.connecting(*arguments).endpoint(MemoryReactorClock())

    def test_tcp(self) -> None:
        """localhost and 1883 where nothing else is said."""
        for arguments, place in (
            ((), ("localhost", 1883)),
            (("-h", "h"), ("h", 1883)),
            (("--host", "h", "--port", "1"), ("h", 1)),
            (("-L", "mqtt://h:7/t"), ("h", 7)),
            (("-L", "mqtt://h/t", "-p", "8"), ("h", 8)),
        ):
            endpoint = self.endpoint(*arguments)
            self.assertIsInstance(endpoint, HostnameEndpoint)
            self.assertEqual((endpoint._hostText, endpoint._port), place)

    def test_unix(self) -> None:
        """`--unix` is a socket's path."""
        self.assertIsInstance(self.endpoint("--unix", "/run/mqtt.sock"), UNIXClientEndpoint)

    def test_tls(self) -> None:
        """Whoever says whom to trust wants TLS, and so does who names its port or its scheme."""
        for arguments in (
            ("--cafile", "x"),
            ("--capath", "x"),
            ("--tls-use-os-certs",),
            ("-p", "8883"),
            ("-L", "mqtts://h/t"),
        ):
            self.assertTrue(self.connecting(*arguments).is_tls, arguments)
        self.assertFalse(self.connecting("--insecure").is_tls)

    def test_topic(self) -> None:
        """A URL may name the topic."""
        self.assertEqual(self.connecting("-L", "mqtt://h/a/b").topic, "a/b")
        self.assertIsNone(self.connecting("-L", "mqtt://h/").topic)
        self.assertIsNone(self.connecting().topic)


class SettingsTests(ConnectingCase):
    def test_version(self) -> None:
        """3.1.1 unless another is said; `-D` makes it 5.0."""
        for arguments, version in (
            ((), MQTT_3_1_1),
            (("-V", "mqttv31"), MQTT_3_1),
            (("-V", "5"), MQTT_5),
            (("-D", "connect", "receive-maximum", "9"), MQTT_5),
        ):
            self.assertEqual(self.client(*arguments).core.version, version)

    def test_client_id(self) -> None:
        """Given, made of a prefix and the process id, made up, or in 5.0 left to the Server."""
        self.assertEqual(self.client("-i", "me").client_id, "me")
        self.assertEqual(self.client("-I", "me-").client_id, f"me-{os.getpid()}")
        self.assertRegex(self.client().client_id, r"\Amqttwist-[A-Za-z0-9]{14}\Z")
        self.assertNotEqual(self.client().client_id, self.client().client_id)
        self.assertEqual(self.client("-V", "5").client_id, "")

    def test_session(self) -> None:
        """`-c` goes on with a session that never ends, `-x` says when it does (3.1.2.11.2)."""
        for arguments, expected in (
            ((), (True, 0)),
            (("-c", "-i", "me"), (False, NEVER)),
            (("-V", "5", "-c", "-i", "me", "-x", "60"), (False, 60)),
            (("-V", "5", "-x", "60"), (True, 60)),
            (("-V", "5", "-x", "-1"), (True, NEVER)),
            (("-V", "5", "-x", "∞"), (True, NEVER)),
            (("-x", "60"), (True, 0)),
            (("-D", "connect", "session-expiry-interval", "7"), (True, 7)),
        ):
            settings = self.client(*arguments).core.settings
            self.assertEqual((settings.clean_start, settings.session_expiry_interval), expected, arguments)

    def test_connect_properties(self) -> None:
        """What CONNECT says in MQTT 5.0 (3.1.2.11)."""
        settings = self.client(
            *("-D", "connect", "receive-maximum", "9", "-D", "connect", "maximum-packet-size", "1000"),
            *("-D", "connect", "topic-alias-maximum", "3", "-D", "connect", "user-property", "a", "b"),
            *("-D", "connect", "request-problem-information", "0"),
        ).core.settings
        self.assertEqual(
            (settings.receive_maximum, settings.maximum_packet_size, settings.topic_alias_maximum),
            (9, 1000, 3),
        )
        assert settings.properties is not None
        self.assertEqual(settings.properties.user_properties, (("a", "b"),))
        self.assertEqual(settings.properties.request_problem_information, 0)

    def test_will(self) -> None:
        """The Will Message, with its properties."""
        will = self.client(
            *("--will-topic", "w", "--will-payload", "\udcff", "--will-qos", "2", "--will-retain"),
            *("-D", "will", "will-delay-interval", "5"),
        ).core.settings.will
        assert will is not None
        self.assertEqual(
            (will.topic_name, will.payload, will.qos, will.retain, will.properties),
            ("w", b"\xff", 2, True, Properties(will_delay_interval=5)),
        )

    def test_login(self) -> None:
        """The password comes from `-P`, the URL, or the environment if there is a user name."""
        for arguments, login in (
            ((), (None, None)),
            (("-u", "me"), ("me", b"hidden")),
            (("-u", "me", "-P", "\udcffa"), ("me", b"\xffa")),
            (("-L", "mqtt://me:word@h/t"), ("me", b"word")),
            (("-V", "5", "-P", "word"), (None, b"word")),
        ):
            with patch.dict(os.environ, {"MQTT_PASSWORD": "hidden"}):
                client = self.client(*arguments)
            self.assertEqual((client._username, client._password), login)

    def test_refused(self) -> None:
        """What makes no sense or can't be had is refused with words."""
        for arguments in (
            ("-i", "x", "-I", "y"),
            ("-c",),
            ("-P", "x"),
            ("-u", "x" * 3, "-V", "4"),
            ("--will-payload", "x"),
            ("--will-topic", "a/#"),
            ("-D", "will", "content-type", "x"),
            ("-V", "311", "-D", "connect", "receive-maximum", "9"),
            ("-V", "5", "-x", "soon"),
            ("-V", "5", "-x", "-2"),
            ("-k", "70000"),
            ("--unix", "x", "-h", "y"),
            ("--unix", "x", "--cafile", "y"),
            ("-L", "mqtt://h/t", "-h", "y"),
            ("--cert", "x"),
            ("--key", "x", "--cafile", "y"),
            ("-S",),
            ("--proxy", "socks5h://h"),
            ("--psk", "aa"),
            ("--psk-identity", "me"),
            ("--tls-engine", "x"),
            ("--tls-engine-kpass-sha1", "x"),
            ("--keyform", "engine"),
            ("--ws",),
            ("-o", "file"),
            ("-D",),
            ("-D", "publish", "content-type"),
            ("-D", "publish", "user-property", "a"),
        ):
            with self.subTest(arguments=arguments):
                self.assertRaises(ValueError, self.connecting, *arguments)

    def test_property_is_a_value(self) -> None:
        """What stands behind another option is no `-D`."""
        found: dict[str, Any] = {}
        result = CliRunner().invoke(
            probe, ["-m", "-D", "-D", "publish", "content-type", "-D"], obj=found, catch_exceptions=False
        )
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(found["message"], "-D")
        self.assertEqual(found["options"].property, (("publish", "content-type", "-D"),))
