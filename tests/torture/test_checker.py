"""The checker finds what it is there to find, and nothing in the history of a faithful broker."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.torture.checker import check_messages, matches, unexpected_disconnects
from tests.torture.history import (
    Acknowledged,
    Closed,
    Delivered,
    Disconnected,
    Event,
    HasRead,
    History,
    Identity,
    Killed,
    Proved,
    Reading,
    Returned,
    Sent,
    Started,
    Subscribed,
    Subscribing,
    Unsubscribed,
    Unsubscribing,
    WillSet,
    make_payload,
    read_payload,
)
from tests.torture.retained_rules import check_retained
from tests.torture.simulated import (
    RETAINED_SABOTAGES,
    SABOTAGES,
    WILL_SABOTAGES,
    SimulatedBroker,
    retained_history,
    will_history,
)
from tests.torture.will_rules import check_wills


class PayloadTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        """What a payload says is read from it, at any size."""
        identity = Identity("p", 7)
        for size in (0, 20, 200, 5000):
            payload = make_payload(identity, "a/b", size)
            self.assertEqual(read_payload(payload), (identity, "a/b"))
            self.assertGreaterEqual(len(payload), size)

    def test_every_changed_byte_is_seen(self) -> None:
        """No byte of a payload can be another one."""
        payload = make_payload(Identity("p", 7), "a/b", 60)
        for index in range(len(payload)):
            changed = payload[:index] + bytes([payload[index] ^ 1]) + payload[index + 1 :]
            self.assertIsNone(read_payload(changed))
            self.assertIsNone(read_payload(payload[:index]))

    def test_filters(self) -> None:
        """Topic Filters match as in 4.7."""
        for topic_filter, topic, expected in (
            ("a/#", "a/b/c", True),
            ("a/#", "a", True),
            ("a/+", "a/b", True),
            ("a/+", "a/b/c", False),
            ("a/b", "a", False),
            ("#", "$SYS/x", False),
            ("a", "a/b", False),
        ):
            self.assertEqual(matches(topic_filter, topic), expected, (topic_filter, topic))


class MessageRuleTests(SynchronousTestCase):
    def test_faithful(self) -> None:
        """A broker that keeps its promise over 25 kills passes."""
        for seed in range(3):
            history = SimulatedBroker(seed=seed).run()
            self.assertEqual(check_messages(history), [])
            self.assertEqual(history.acknowledged, 2500)

    def test_every_sabotage_is_found(self) -> None:
        """Each way to break the promise is found by the rule that is there for it."""
        self.assertGreaterEqual(len(SABOTAGES), 10)
        for sabotage, rule in SABOTAGES.items():
            rules = {fault.rule for fault in check_messages(SimulatedBroker(sabotage).run())}
            self.assertIn(rule, rules, sabotage)

    def test_an_early_acknowledgement_alone_is_no_fault(self) -> None:
        """What was sent and not acknowledged may be lost, and may be delivered."""
        for delivered in (False, True):
            history = _history_of_one(acknowledged=False, delivered=delivered)
            self.assertEqual(check_messages(history), [])

    def test_a_refused_message_may_be_lost(self) -> None:
        """A Reason Code of 0x80 or more leaves the message with its publisher."""
        history = _history_of_one(acknowledged=False, delivered=False)
        history.add(Acknowledged(Identity("p", 1), 0x97))
        self.assertEqual(check_messages(history), [])
        history.add(Acknowledged(Identity("p", 1), 0x10))
        self.assertEqual([fault.rule for fault in check_messages(history)], ["lost"])

    def test_before_suback_and_after_unsubscribe_nothing_must_come(self) -> None:
        """Only what is sent after SUBACK and acknowledged before UNSUBSCRIBE must come."""
        sent = [Sent(Identity("p", number), "a", 1) for number in range(3)]
        history = History([Subscribing("s", "a", 1), sent[0], Subscribed("s", "a", 1), sent[1], sent[2]])
        history.events += [Acknowledged(one.identity) for one in sent[:2]]
        history.events += [Unsubscribing("s", "a"), Acknowledged(sent[2].identity)]
        self.assertEqual([fault.text.split("=")[2][0] for fault in check_messages(history)], ["1"])

    def test_after_unsuback_nothing_may_come(self) -> None:
        """What was sent before UNSUBACK came may still be delivered, what is sent later must not be."""
        sent = [Sent(Identity("p", number), "a", 1) for number in range(2)]
        history = History(
            [Subscribing("s", "a", 1), Subscribed("s", "a", 1), Unsubscribing("s", "a"), sent[0]]
        )
        history.events += [Unsubscribed("s", "a"), sent[1]]
        for one, rules in zip(sent, ([], ["receiver"]), strict=True):
            history.add(Delivered("s", "a", make_payload(one.identity, "a"), 1))
            self.assertEqual([fault.rule for fault in check_messages(history)], rules)

    def test_disconnects_are_counted(self) -> None:
        """Where no connection may end, each that does is a fault."""
        history = History([Disconnected("s", 0x89)])
        self.assertEqual([fault.rule for fault in unexpected_disconnects(history)], ["disconnected"])


class RetainedRuleTests(SynchronousTestCase):
    def test_faithful(self) -> None:
        """What was sent after the last acknowledged one may be served or not."""
        self.assertEqual(check_retained(retained_history()), [])

    def test_every_sabotage_is_found(self) -> None:
        """Each way to serve a wrong retained message is found, and nothing else."""
        for sabotage, rule in RETAINED_SABOTAGES.items():
            rules = {fault.rule for fault in check_retained(retained_history(sabotage))}
            self.assertEqual(rules, {rule}, sabotage)

    def test_what_is_sent_while_somebody_reads(self) -> None:
        """A message that is acknowledged after SUBSCRIBE was written need not be served; it may."""
        for served in (1, 2):
            old, new = (Sent(Identity("p", number), "r", 1, retain=True) for number in (1, 2))
            history = History([old, Acknowledged(old.identity), Reading("reader", "#"), new])
            payload = make_payload(Identity("p", served), "r")
            history.events += [Acknowledged(new.identity), Delivered("reader", "r", payload, 1, retain=True)]
            history.add(HasRead("reader"))
            self.assertEqual(check_retained(history), [])


class WillRuleTests(SynchronousTestCase):
    def test_faithful(self) -> None:
        """Wills at their times, and none where none is due."""
        self.assertEqual(check_wills(will_history(), 300.0), [])

    def test_every_sabotage_is_found(self) -> None:
        """Each wrong will is found, and nothing else."""
        for sabotage, rule in WILL_SABOTAGES.items():
            faults = check_wills(will_history(sabotage), 300.0)
            self.assertEqual([fault.rule for fault in faults], [rule], sabotage)

    def test_nothing_is_demanded_of_what_was_not_proved(self) -> None:
        """A will that was set, or called off, just before a kill may come or not."""
        for called_off in (False, True):
            for came in (False, True):
                events: list[Event] = [
                    Started(0.0),
                    WillSet("c", "w", 0, 0),
                    Closed("c", called_off, 9.9),
                    Killed(10.0),
                ]
                history = History([*events, Started(12.0)])
                if came:
                    history.add(Delivered("watch", "w", b"", 2, at=12.5))
                self.assertEqual(check_wills(history, 100.0), [])

    def test_a_return_that_was_not_proved(self) -> None:
        """A client's return just before a kill may be forgotten, and the will come all the same."""
        events: list[Event] = [
            Started(0.0),
            WillSet("c", "w", 5, 60),
            Proved(),
            Closed("c", False, 9.0),
            Proved(),
        ]
        for proved, faults in (([], 0), ([Proved()], 1)):
            history = History([*events, Returned("c", False, 10.0), *proved, Killed(11.0), Started(15.0)])
            history.add(Delivered("watch", "w", b"", 2, at=15.5))
            self.assertEqual(len(check_wills(history, 100.0)), faults)

    def test_sent_again_after_a_kill(self) -> None:
        """A will at QoS 1 may be published just before a kill and after it, one at QoS 2 only once."""
        for qos, at, faults in ((1, 9.9, 0), (0, 9.9, 0), (2, 9.9, 1), (1, 5.0, 1)):
            events: list[Event] = [
                Started(0.0),
                WillSet("c", "w", 0, 0, qos),
                Proved(),
                Closed("c", False, at),
            ]
            history = History(
                [*events, Delivered("watch", "w", b"", qos, at=at), Killed(10.0), Started(12.0)]
            )
            history.add(Delivered("watch", "w", b"", qos, at=12.1))
            self.assertEqual(len(check_wills(history, 100.0)), faults, (qos, at))

    def test_the_first_return_decides(self) -> None:
        """A client came back anew, which is proved, and once more later: the will came with the first."""
        events: list[Event] = [Started(0.0), WillSet("c", "w", 60, 60), Proved(), Closed("c", False, 5.0)]
        events += [Returned("c", True, 6.0), Delivered("watch", "w", b"", 2, at=6.0), Proved()]
        history = History([*events, Killed(7.0), Started(8.0), Returned("c", True, 9.0)])
        self.assertEqual(check_wills(history, 100.0), [])

    def test_killed_again_when_it_is_due(self) -> None:
        """A will that is due shortly before a kill may come after it."""
        events: list[Event] = [
            Started(0.0),
            WillSet("c", "w", 5, 60),
            Proved(),
            Closed("c", False, 10.0),
            Proved(),
        ]
        history = History([*events, Killed(15.1), Started(25.0), Delivered("watch", "w", b"", 2, at=25.5)])
        self.assertEqual(check_wills(history, 100.0), [])


def _history_of_one(acknowledged: bool, delivered: bool) -> History:
    sent = Sent(Identity("p", 1), "a", 1)
    history = History([Subscribing("s", "a", 1), Subscribed("s", "a", 1), sent])
    if acknowledged:
        history.add(Acknowledged(sent.identity))
    if delivered:
        history.add(Delivered("s", "a", make_payload(sent.identity, "a"), 1))
    return history


class HasReadTests(SynchronousTestCase):
    def test_a_reader_is_not_held_to_the_order_of_subscribers(self) -> None:
        """Retained messages come in any order of topics, and each topic's last one only."""
        history = retained_history()
        self.assertEqual(check_messages(history), [])
        self.assertIsInstance(history.events[-1], HasRead)
        self.assertTrue(any(isinstance(event, Reading) for event in history.events))
