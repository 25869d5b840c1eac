"""Topic Names and Topic Filters (4.7, 4.8.2): what is one, and which matches which."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire import topics
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.errors import MalformedPacket
from mqttwist.wire.publish import Publish
from mqttwist.wire.topics import (
    check_topic_filter,
    check_topic_name,
    decode_topic_name,
    malformed_name,
    matches,
    split_share,
)
from tests.wire.spread import BAD_FILTERS, BAD_STRINGS

GOOD_NAMES = (
    "a",
    "/",
    "//",
    "/finance",
    "finance/",
    "a/b/c",
    "$SYS/x",
    "Accounts payable",
    "\u20ac",
    "\ufeff",
    "x" * 65_535,
)

GOOD_FILTERS = (
    *GOOD_NAMES,
    "#",
    "+",
    "/#",
    "/+",
    "+/",
    "+/+",
    "a/#",
    "a/+/c",
    "+/tennis/#",
    "sport/+/player1",
    "$SYS/#",
    "$share",
    "$shared",
    "$share/g/#",
    "$share/g//",
    "$share/g//finance",
    "$share/g/+/a/#",
    "$share/consumer1/sport/tennis/+",
    "$share/g/$share/h/t",
)


class NameTests(SynchronousTestCase):
    def test_good_names(self) -> None:
        """A Topic Name has one to 65,535 bytes; a space, '$' and empty levels may be in it (4.7.3)."""
        for name in GOOD_NAMES:
            with self.subTest(name[:20]):
                check_topic_name(name)
                self.assertEqual(decode_topic_name(name.encode()), name)

    def test_bad_names(self) -> None:
        """A Topic Name that breaks a rule of 4.7 is a ValueError that names the rule."""
        for name, clause in (
            ("", "MQTT-4.7.3-1"),
            ("+", "MQTT-4.7.0-1"),
            ("#", "MQTT-4.7.0-1"),
            ("a/+/b", "MQTT-4.7.0-1"),
            ("a#b", "MQTT-4.7.0-1"),
            ("a\0b", "MQTT-4.7.3-2"),
            ("x" * 65_536, "MQTT-4.7.3-3"),
            ("\u20ac" * 21_846, "MQTT-4.7.3-3"),
        ):
            with self.subTest(name[:10]):
                with self.assertRaises(ValueError) as caught:
                    check_topic_name(name)
                self.assertIn(f"[{clause}]", str(caught.exception))

    def test_surrogates(self) -> None:
        """A surrogate can't be encoded: a ValueError for names and filters."""
        self.assertRaises(ValueError, check_topic_name, "\ud800")
        self.assertRaises(ValueError, check_topic_filter, "\ud800/#")


class DecodeNameTests(SynchronousTestCase):
    def setUp(self) -> None:
        topics.KNOWN_NAMES.clear()
        self.addCleanup(topics.KNOWN_NAMES.clear)

    def test_bad_strings(self) -> None:
        """Bytes that are no string are malformed, at the first time and at the second."""
        for what, (raw, clause) in BAD_STRINGS.items():
            for _ in range(2):
                with self.subTest(what):
                    with self.assertRaises(MalformedPacket) as caught:
                        decode_topic_name(raw)
                    self.assertEqual(caught.exception.clause, clause)

    def test_wildcards(self) -> None:
        """A Topic Name with a wildcard is malformed, at the first time and at the second [MQTT-3.3.2-2]."""
        for raw in (b"#", b"+", b"a/#", b"+/a", b"a+b"):
            for _ in range(2):
                with self.subTest(raw):
                    with self.assertRaises(MalformedPacket) as caught:
                        decode_topic_name(raw)
                    self.assertEqual(caught.exception.clause, "MQTT-3.3.2-2")

    def test_empty(self) -> None:
        """An empty name passes here, since a Topic Alias may stand for it."""
        self.assertEqual(decode_topic_name(b""), "")
        self.assertEqual(decode_topic_name(b""), "")

    def test_a_known_name_is_shared(self) -> None:
        """The same bytes give the same string object again: it was checked once."""
        one, other = decode_stream(Publish("sport/tennis").encode(4) * 2, 4)
        assert isinstance(one, Publish) and isinstance(other, Publish)
        self.assertIs(one.topic_name, other.topic_name)

    def test_long_names_are_not_kept(self) -> None:
        """Names of more than 128 bytes are checked each time: they would fill the memory."""
        decode_topic_name(b"x" * 128)
        decode_topic_name(b"x" * 129)
        self.assertEqual(list(topics.KNOWN_NAMES), [b"x" * 128])

    def test_what_is_kept_is_bounded(self) -> None:
        """A peer that makes up names can't fill the memory, and seldom drives out those that come often."""
        limit, passing = topics._KNOWN_NAMES_LIMIT, topics._PASSING
        topics._PASSED.count = 0
        kept = {number.to_bytes(4, "big"): "" for number in range(limit - 1)} | {b"the last": "the last"}
        topics.KNOWN_NAMES.update(list(kept.items())[:-1])
        decode_topic_name(b"the last")
        for _ in range(passing - 1):
            self.assertEqual(decode_topic_name(b"one too many"), "one too many")
        self.assertEqual(topics.KNOWN_NAMES, kept)
        decode_topic_name(b"one too many")
        self.assertEqual(topics.KNOWN_NAMES, {})
        decode_topic_name(b"the next")
        self.assertEqual(topics.KNOWN_NAMES, {b"the next": "the next"})


class FilterTests(SynchronousTestCase):
    def test_good_filters(self) -> None:
        """What 4.7.1 and 4.8.2 give as right passes, and every Topic Name is a Topic Filter, too."""
        for topic_filter in GOOD_FILTERS:
            with self.subTest(topic_filter[:20]):
                check_topic_filter(topic_filter)

    def test_bad_filters(self) -> None:
        """A filter that breaks a rule of 4.7 or 4.8.2 is a ValueError that names the rule."""
        bad = BAD_FILTERS | {"a\0": "MQTT-4.7.3-2", "#/" * 40_000: "MQTT-4.7.3-3"}
        for topic_filter, clause in bad.items():
            with self.subTest(topic_filter[:20]):
                with self.assertRaises(ValueError) as caught:
                    check_topic_filter(topic_filter)
                self.assertIn(f"[{clause}]", str(caught.exception))

    def test_very_many_levels(self) -> None:
        """There is no limit to the number of levels but the length (4.7.3)."""
        check_topic_filter("/" * 65_535)
        check_topic_filter("+/" * 32_767 + "#")

    def test_as_an_error_of_the_peer(self) -> None:
        """What a check found becomes a Malformed Packet with the clause it named."""
        try:
            check_topic_filter("a/#/b")
        except ValueError as error:
            fault = malformed_name(error)
            self.assertIsInstance(fault, MalformedPacket)
            self.assertEqual(fault.clause, "MQTT-4.7.1-1")
            self.assertEqual(fault.text, "'#' must be the last level of a Topic Filter and stand alone")


class ShareTests(SynchronousTestCase):
    def test_split(self) -> None:
        """A shared filter is a ShareName and a filter, which may begin with '/' (4.8.2)."""
        for topic_filter, parts in (
            ("$share/g/t", ("g", "t")),
            ("$share/consumer1/sport/tennis/+", ("consumer1", "sport/tennis/+")),
            ("$share/consumer1//finance", ("consumer1", "/finance")),
            ("$share/g/#", ("g", "#")),
            ("$share/g/$share/h/t", ("g", "$share/h/t")),
        ):
            with self.subTest(topic_filter):
                self.assertEqual(split_share(topic_filter), parts)

    def test_not_shared(self) -> None:
        """Any other filter is itself: the prefix must be exactly '$share/'."""
        for topic_filter in ("t", "#", "$share", "$Share/g/t", "$shared/g/t", "a/$share/g/t", "/$share/g/t"):
            with self.subTest(topic_filter):
                self.assertEqual(split_share(topic_filter), ("", topic_filter))


class MatchTests(SynchronousTestCase):
    # The examples of 4.7.1.2, 4.7.1.3, 4.7.2 and 4.7.3, and the edges beside them
    MATCHES = (
        ("sport/tennis/player1/#", "sport/tennis/player1"),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking"),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
        ("sport/#", "sport"),
        ("sport/#", "sport/"),
        ("#", "sport/tennis"),
        ("#", "/"),
        ("sport/tennis/+", "sport/tennis/player1"),
        ("sport/+", "sport/"),
        ("+", "sport"),
        ("+/tennis/#", "sport/tennis"),
        ("sport/+/player1", "sport/tennis/player1"),
        ("+/+", "/finance"),
        ("/+", "/finance"),
        ("$SYS/#", "$SYS/monitor/Clients"),
        ("$SYS/#", "$SYS"),
        ("$SYS/monitor/+", "$SYS/monitor/Clients"),
        ("+/$SYS", "a/$SYS"),
        ("a/b", "a/b"),
        ("/", "/"),
        ("//", "//"),
        ("+/+/+", "//"),
        ("a//b", "a//b"),
        ("a/+/b", "a//b"),
        ("Accounts payable", "Accounts payable"),
        ("\u00e9", "\u00e9"),
    )
    DIFFERS = (
        ("sport/tennis/+", "sport/tennis/player1/ranking"),
        ("sport/+", "sport"),
        ("+", "/finance"),
        ("sport/tennis/#", "sport"),
        ("sport/tennis/#", "sport/tennis2"),
        ("#", "$SYS/monitor"),
        ("+/monitor/Clients", "$SYS/monitor/Clients"),
        ("+/#", "$SYS"),
        ("+", "$SYS"),
        ("ACCOUNTS", "Accounts"),
        ("/finance", "finance"),
        ("finance", "/finance"),
        ("finance/", "finance"),
        ("a/b", "a/b/c"),
        ("a/b/c", "a/b"),
        ("a/+/c", "a/b/d"),
        ("/#", "a"),
        ("\u00e9", "e\u0301"),  # no normalization [MQTT-4.7.3-4]
    )

    def test_matches(self) -> None:
        """What the specification says matches, does."""
        for topic_filter, name in self.MATCHES:
            with self.subTest(topic_filter, name=name):
                self.assertTrue(matches(topic_filter, name))

    def test_differs(self) -> None:
        """What the specification says does not match, doesn't [MQTT-4.7.2-1] [MQTT-4.7.3-4]."""
        for topic_filter, name in self.DIFFERS:
            with self.subTest(topic_filter, name=name):
                self.assertFalse(matches(topic_filter, name))
