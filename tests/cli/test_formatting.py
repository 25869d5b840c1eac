"""Formats of `sub -F`, as mosquitto_sub 2.0.11 prints them."""

from __future__ import annotations

import json
import os
import time

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.cli.formatting import Format, Shown, plain
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish

AT = 1_796_081_686_415_504_614
PAYLOAD = 'hé"l\\/o'.encode()
FULL = Properties(
    payload_format_indicator=1,
    message_expiry_interval=83,
    content_type="text/x",
    response_topic="r/t",
    correlation_data=b"abc",
    user_properties=(("a", "b"), ("a", "c")),
)


class FormatCase(SynchronousTestCase):
    def setUp(self) -> None:
        """In UTC, wherever the tests run."""
        before = os.environ.get("TZ")
        os.environ["TZ"] = "UTC"
        time.tzset()

        def restore() -> None:
            if before is None:
                del os.environ["TZ"]
            else:
                os.environ["TZ"] = before
            time.tzset()

        self.addCleanup(restore)

    def render(
        self,
        text: str,
        payload: bytes = PAYLOAD,
        properties: Properties | None = None,
        qos: int = 1,
        pretty: bool = False,
    ) -> tuple[bytes, bool]:
        publish = Publish("ok/1", payload, qos, True, packet_id=1 if qos else 0)
        return Format(text, pretty).render(Shown(publish, properties or Properties(), AT))


class SpecifierTests(FormatCase):
    def assert_rendered(self, expected: dict[str, bytes], properties: Properties | None = None) -> None:
        for text, rendered in expected.items():
            with self.subTest(format=text):
                self.assertEqual(self.render(text, properties=properties), (rendered, True))

    def test_message(self) -> None:
        """What each message has: length, packet identifier, payload, QoS, RETAIN and topic."""
        self.assert_rendered(
            {
                "%%": b"%",
                "%l|%05l|%-5l|%5l": b"8|00008|8    |    8",
                "%m": b"1",
                "%p": PAYLOAD,
                "%q%r": b"11",
                "%t|%10t|%-10t|%10.2t": b"ok/1|      ok/1|ok/1      |        ok",
                "plain": b"plain",
            }
        )

    def test_payload_width(self) -> None:
        """A width cuts the payload as well as it pads it, in whole bytes of hexadecimal."""
        self.assert_rendered(
            {
                "%12p|": b"    " + PAYLOAD + b"|",
                "%-12p|": PAYLOAD + b"    |",
                "%012p": b"0000" + PAYLOAD,
                "%3p": PAYLOAD[:3],
                "%x": b"68c3a9226c5c2f6f",
                "%X": b"68C3A9226C5C2F6F",
                "%4X": b"68C3",
                "%5.3x": b" 68c3",
                "%.3p": PAYLOAD,
            }
        )

    def test_properties(self) -> None:
        """What MQTT 5.0 adds."""
        self.assert_rendered(
            {
                "%C|%-8C|%8C|%.3C": b"text/x|text/x  |  text/x|tex",
                "%D": b"abc",
                "%E|%06E|%-6E|": b"83|000083|83    |",
                "%F|%03F": b"1|001",
                "%P": b"a:b a:c",
                "%R|%5R": b"r/t|  r/t",
            },
            FULL,
        )

    def test_absent(self) -> None:
        """What a message does not have is blank in its width; a missing response topic is nothing."""
        self.assert_rendered({"%A|%5A|%05A": b"|     |00000", "%3C|%R|%5R|%D|%P": b"   ||||", "%S": b""})

    def test_times(self) -> None:
        """The time when the message came, by `%I`, `%U` and strftime's letters behind `@`."""
        self.assert_rendered(
            {
                "%I": b"2026-11-30T23:34:46+0000",
                "%26I": b"  2026-11-30T23:34:46+0000",
                "%U": b"1796081686.415504614",
                "@Y-@m-@d @@ @N": b"2026-11-30 @ 415504614",
            }
        )

    def test_escapes(self) -> None:
        """The escapes of C, and `\\e`."""
        self.assert_rendered({r"\\\0\a\e\n\r\t\v": b"\\\0\a\x1b\n\r\t\v"})

    def test_none(self) -> None:
        """What is no format is refused."""
        for text in ("%", "%-", "%0", "%5", "%5.", "@", "\\", "%i", "%z", "\\q", "%99999p"):
            with self.subTest(format=text):
                self.assertRaises(ValueError, Format, text)


class JSONTests(FormatCase):
    def test_escaped(self) -> None:
        """`%j` is one line, in Mosquitto's order."""
        rendered, _ = self.render("%j", properties=FULL)
        self.assertEqual(
            rendered.decode(),
            '{"tst":"2026-11-30T23:34:46.415504Z+0000","topic":"ok/1","qos":1,"retain":1,"payloadlen":8,"mid":1,'
            '"properties":{"payload-format-indicator":1,"message-expiry-interval":83,"content-type":"text/x",'
            '"response-topic":"r/t","correlation-data":"abc","user-properties":{"a":"b","a":"c"}},'
            '"payload":"hé\\"l\\\\/o"}',
        )

    def test_payload_itself(self) -> None:
        """`%J` takes the payload for JSON, and writes its numbers as Mosquitto does."""
        payload = b'{"a": 27.0, "b":[1.5,1e30,true,null,"x/y"], "e":12345678901234567890}'
        rendered, is_json = self.render("%J", payload, qos=0)
        self.assertTrue(is_json)
        self.assertIn(
            b'"payload":{"a":27,"b":[1.5,1e+30,true,null,"x/y"],"e":1.2345678901234567e+19}}', rendered
        )

    def test_no_json(self) -> None:
        """A payload that is no JSON leaves `%J` out and the rest in."""
        for payload in (b"{", b"\xff", b"[" * 100_000, b"1 2"):
            self.assertEqual(self.render("a%Jb%l", payload), (b"ab%d" % len(payload), False))

    def test_no_payload(self) -> None:
        """An empty payload is null."""
        for text in ("%j", "%J"):
            rendered, is_json = self.render(text, b"")
            self.assertTrue(is_json)
            self.assertIsNone(json.loads(rendered)["payload"])

    def test_binary(self) -> None:
        """What is no UTF-8 is a list of bytes, so that the line stays JSON."""
        rendered, _ = self.render("%j", b"a\xff\0")
        self.assertEqual(json.loads(rendered)["payload"], [97, 255, 0])

    def test_pretty(self) -> None:
        """With `--pretty` each member has a line, indented by tabs."""
        rendered, _ = self.render("%J", b'{"a":[1,2],"b":{}}', qos=0, pretty=True)
        self.assertEqual(
            rendered.decode(),
            '{\n\t"tst":\t"2026-11-30T23:34:46.415504Z+0000",\n\t"topic":\t"ok/1",\n\t"qos":\t0,\n\t"retain":\t1,'
            '\n\t"payloadlen":\t18,\n\t"payload":\t{\n\t\t"a":\t[1, 2],\n\t\t"b":\t{\n\t\t}\n\t}\n}',
        )


class PlainTests(SynchronousTestCase):
    def test_payload(self) -> None:
        """The payload as it is, and an empty one not at all."""
        self.assertEqual(plain(Publish("t", b"\xff\0"), False, b"\n"), b"\xff\0\n")
        self.assertEqual(plain(Publish("t", b""), False, b"\n"), b"")
        self.assertEqual(plain(Publish("t", b"a"), False, b""), b"a")

    def test_verbose(self) -> None:
        """The topic before it, and "(null)" for an empty one."""
        self.assertEqual(plain(Publish("t", b"a"), True, b"\n"), b"t a\n")
        self.assertEqual(plain(Publish("t", b""), True, b"\n"), b"t (null)\n")
        self.assertEqual(plain(Publish("t", b""), True, b""), b"")
