"""The histogram of latencies: bounded and precise."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.cli.histogram import BUCKETS, LARGEST, LINEAR, Histogram, bucket_of, middle_of


class BucketTests(SynchronousTestCase):
    def test_rising(self) -> None:
        """Buckets follow each other without a gap, from 0 to the last value."""
        self.assertEqual([bucket_of(value) for value in range(LINEAR)], list(range(LINEAR)))
        last = LINEAR - 1
        for value in range(LINEAR, 100_000):
            self.assertIn(bucket_of(value) - last, (0, 1), value)
            last = bucket_of(value)
        self.assertEqual(bucket_of(LARGEST), BUCKETS - 1)

    def test_precise(self) -> None:
        """The middle of a bucket is at most 1 in 128 away from what it counts."""
        choose = random.Random(1)
        for bits in range(1, 41):
            for _ in range(50):
                value = choose.randrange(1 << bits)
                middle = middle_of(bucket_of(value))
                self.assertLessEqual(abs(middle - value), value / 128 + 1)
                self.assertEqual(bucket_of(middle), bucket_of(value))


class HistogramTests(SynchronousTestCase):
    def test_percentiles(self) -> None:
        """Percentiles, the least and the largest of what was counted."""
        histogram = Histogram()
        for value in range(1, 101):
            histogram.record(value)
        self.assertEqual(histogram.percentiles((0.5, 50, 90, 99, 99.9, 100)), [1, 50, 90, 99, 100, 100])
        self.assertEqual((histogram.minimum, histogram.maximum, histogram.mean), (1, 100, 50.5))

    def test_like_sorting(self) -> None:
        """They are what sorting all values would give, within the precision."""
        choose = random.Random(2)
        values = [int(choose.lognormvariate(8, 2)) for _ in range(20_000)]
        histogram = Histogram()
        for value in values:
            histogram.record(value)
        values.sort()
        found = histogram.percentiles((50.0, 90.0, 99.0, 99.9))
        for percent, value in zip((50.0, 90.0, 99.0, 99.9), found, strict=True):
            exact = values[int(len(values) * percent / 100) - 1]
            self.assertLessEqual(abs(value - exact), exact / 100 + 1)

    def test_nothing(self) -> None:
        """Without a value all are 0."""
        histogram = Histogram()
        self.assertEqual((histogram.percentiles((50, 100)), histogram.mean), ([0, 0], 0.0))

    def test_out_of_range(self) -> None:
        """What is too large or below 0 counts at the edge."""
        histogram = Histogram()
        histogram.record(-5)
        histogram.record(LARGEST * 10)
        self.assertEqual((histogram.minimum, histogram.maximum, histogram.count), (0, LARGEST, 2))
