"""A histogram of latencies in bounded memory, precise to 1 in 128 at any size, after HdrHistogram's idea.

Up to 128 each value has a bucket. From there on each power of two is cut into 64 buckets of equal width, so
that a bucket is never wider than a 64th of its values, and the middle of it is at most a 128th away.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

PRECISION_BITS: Final = 6
LINEAR: Final = 1 << (PRECISION_BITS + 1)  # values that have a bucket each
HALF: Final = 1 << PRECISION_BITS  # buckets of each power of two above
LARGEST_BITS: Final = 40  # a million seconds, in microseconds
LARGEST: Final = (1 << LARGEST_BITS) - 1
BUCKETS: Final = LINEAR + (LARGEST_BITS - PRECISION_BITS - 1) * HALF


def bucket_of(value: int) -> int:
    """The number of the bucket that counts `value`, 0..`LARGEST`."""
    if value < LINEAR:
        return value
    shift = value.bit_length() - PRECISION_BITS - 1
    return LINEAR + (shift - 1) * HALF + (value >> shift) - HALF


def middle_of(bucket: int) -> int:
    """The value that stands for all that a bucket counts."""
    if bucket < LINEAR:
        return bucket
    shift, rest = divmod(bucket - LINEAR, HALF)
    shift += 1
    return ((rest + HALF) << shift) + (1 << shift >> 1)


class Histogram:
    """Counts whole numbers from 0; larger ones than `LARGEST` count as that, smaller ones than 0 as 0."""

    __slots__ = ("_buckets", "count", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self._buckets = [0] * BUCKETS
        self.count = 0
        self.total = 0
        self.minimum = 0
        self.maximum = 0

    def record(self, value: int) -> None:
        """Count one value."""
        value = min(max(value, 0), LARGEST)
        self._buckets[bucket_of(value)] += 1
        self.maximum = max(self.maximum, value)
        self.minimum = min(self.minimum, value) if self.count else value
        self.count += 1
        self.total += value

    @property
    def mean(self) -> float:
        """0.0 where nothing was counted."""
        return self.total / self.count if self.count else 0.0

    def percentiles(self, percents: Iterable[float]) -> list[int]:
        """The least value that so many percent of all are not above, for each of `percents` in rising order.

        All are 0 where nothing was counted.
        """
        found: list[int] = []
        seen, bucket = 0, -1
        for percent in percents:
            wanted = max(1, -int(-self.count * percent // 100))
            while seen < min(wanted, self.count):
                bucket += 1
                seen += self._buckets[bucket]
            found.append(self._within(middle_of(bucket)) if self.count else 0)
        return found

    def _within(self, value: int) -> int:
        return min(max(value, self.minimum), self.maximum)
