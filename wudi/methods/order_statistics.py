"""Values of wanted ranks over everything that a walk goes over, exactly, in constant memory and mostly in one pass."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wudi.methods.method import Layer, Walk

SAMPLE = 1 << 21
"""Values of an expert that the estimate is taken from, at most."""
SLACK = 0.02
"""By how much of a rank, from its end, an estimate may be off: parts of a model differ more than random draws do."""
BINS = 1 << 21
LARGEST = 0x7FFFFFFF

Values = Callable[[Layer], Iterable[Tensor]]
"""The values of a layer, one tensor an expert; they are compared in float32."""


def order_statistics(walk: Walk, values: Values, ranks: Callable[[int], Sequence[int]]) -> list[list[float]]:
    """Each expert's values of the wanted 1-based ranks, `ranks` of how many values there are.

    A sample says about where each lies; then one pass counts the values below, and how often each value occurs near by:
    the bits of floats order as the floats do, so an interval of floats is one of whole numbers. Where the estimate was
    off, or an interval has more values than bins, another pass looks more closely.
    """
    intervals = estimate(walk, values, ranks)
    found: list[list[int | None]] = [[None] * len(expert) for expert in intervals]
    while any(key is None for expert in found for key in expert):
        counted = count(walk, values, intervals)
        for expert, counts in enumerate(counted):
            wanted = ranks(counts[0].total)
            for index, (rank, tally) in enumerate(zip(wanted, counts, strict=True)):
                if found[expert][index] is None:
                    intervals[expert][index] = narrower = tally.narrowed(rank)
                    found[expert][index] = narrower.low if narrower.low == narrower.high else None
    return [[as_float(key) for key in expert if key is not None] for expert in found]


@dataclass(frozen=True)
class Interval:
    """Where a value lies: between two keys, both included. A key is a whole number that orders as the floats do."""

    low: int
    high: int

    @property
    def shift(self) -> int:
        """How many low bits of a key's distance from `low` are left out, so that the bins suffice."""
        return max((self.high - self.low).bit_length() - BINS.bit_length() + 1, 0)


class Tally:
    """What one pass finds in one interval: the values themselves as long as they are few, then how often each occurs.

    Counts are kept by bins of 2^shift keys.
    """

    def __init__(self, interval: Interval) -> None:
        self.interval = interval
        self.total = self.below = 0
        self._near: list[Tensor] = []
        self._held = 0
        self._bins: Tensor | None = None

    def add(self, total: int, below: int, near: Tensor) -> None:
        """Count so many values, so many of them below the interval, and those within."""
        self.total += total
        self.below += below
        self._near.append(near.cpu())
        self._held += len(near)
        if self._held > BINS:
            self._bins, self._near, self._held = self._counted(), [], 0

    def _counted(self) -> Tensor:
        """The bins, with the values that are not in them yet."""
        shift = self.interval.shift
        size = 1 + ((self.interval.high - self.interval.low) >> shift)
        bins = torch.zeros(size, dtype=torch.long) if self._bins is None else self._bins
        return bins + torch.bincount((keys(torch.cat(self._near)) - self.interval.low) >> shift, minlength=size)

    def narrowed(self, rank: int) -> Interval:
        """Where the value of a rank lies: its very key or its bin, or the side of the interval on which it is."""
        low, within = self.interval.low, rank - self.below
        if within < 1:
            return Interval(-LARGEST - 1, low - 1)
        if self._bins is not None:
            return self._bin_of(within)
        values = torch.cat(self._near)
        if within <= len(values):
            key = as_key(float(np.partition(values.numpy(), within - 1)[within - 1]))
            return Interval(key, key)
        return self._beyond()

    def _bin_of(self, within: int) -> Interval:
        """The bin of the value that has a rank among those within the interval."""
        cumulative = self._counted().cumsum(dim=0)
        if within > int(cumulative[-1]):
            return self._beyond()
        shift, place = self.interval.shift, int(torch.searchsorted(cumulative, within))
        low = self.interval.low + (place << shift)
        return Interval(low, min(low + (1 << shift) - 1, self.interval.high))

    def _beyond(self) -> Interval:
        """What lies above the interval."""
        assert self.interval.high < LARGEST, "what has no rank, NaN, is refused where it is read"
        return Interval(self.interval.high + 1, LARGEST)


def estimate(walk: Walk, values: Values, ranks: Callable[[int], Sequence[int]]) -> list[list[Interval]]:
    """An interval for each expert and rank in which the value probably lies."""
    samples: list[Sample] = []
    for parts in walk(lambda layer: [part.flatten().float().cpu() for part in values(layer)], sampled=True):
        samples = samples or [Sample() for _ in parts]
        for sample, part in zip(samples, parts, strict=True):
            sample.add(part)
    drawn = [sample.values() for sample in samples]
    return [[around(rank, sample) for rank in ranks(len(sample))] for sample in drawn]


class Sample:
    """Values from all over, evenly: every second one is dropped, of those to come too, whenever they are too many."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []
        self._held = 0
        self._stride = 1

    def add(self, values: Tensor) -> None:
        """Take some of these."""
        self._parts.append(values[:: self._stride].clone())
        self._held += len(self._parts[-1])
        if self._held > SAMPLE:
            self._parts = [self.values()[::2].clone()]
            self._held = len(self._parts[0])
            self._stride *= 2

    def values(self) -> Tensor:
        """All that were taken."""
        return torch.cat(self._parts)


def around(rank: int, sample: Tensor) -> Interval:
    """What lies around the value of a rank in a sample, by four standard deviations of a draw and the slack."""
    from_end = min(rank, len(sample) - rank)
    margin = 4.0 * math.sqrt(from_end * (1.0 - from_end / len(sample))) + SLACK * from_end + 1
    places = [max(int(rank - margin), 0), min(int(rank + margin), len(sample) - 1)]
    low, high = np.partition(sample.numpy(), places)[places]
    return Interval(as_key(float(low)), as_key(float(high)))


def count(walk: Walk, values: Values, intervals: Sequence[Sequence[Interval]]) -> list[list[Tally]]:
    """One pass: for each expert and interval the values below, and the bins of those within."""
    tallies = [[Tally(interval) for interval in expert] for expert in intervals]

    def look(layer: Layer) -> list[list[tuple[int, int, Tensor]]]:
        return [
            [placed(part.flatten().float(), interval) for interval in expert]
            for part, expert in zip(values(layer), intervals, strict=True)
        ]

    for parts in walk(look):
        for own, found in zip(tallies, parts, strict=True):
            for tally, placed_values in zip(own, found, strict=True):
                tally.add(*placed_values)
    return tallies


def placed(values: Tensor, interval: Interval) -> tuple[int, int, Tensor]:
    """How many values there are, how many lie below an interval, and those within it."""
    low, high = np.float32(as_float(interval.low)), np.float32(as_float(interval.high))
    if values.is_cuda:
        below, near = int((values < float(low)).sum()), values[(values >= float(low)) & (values <= float(high))]
    else:  # numpy compares and picks several times faster than torch on a CPU
        numbers = values.numpy()
        below = int(np.count_nonzero(numbers < low))
        near = torch.from_numpy(numbers[np.flatnonzero((numbers >= low) & (numbers <= high))])
    return len(values), below, near


def keys(values: Tensor) -> Tensor:
    """Whole numbers that order as the float32 values do; −0 counts as 0."""
    bits = (values.float() + 0.0).view(torch.int32).long()
    return torch.where(bits < 0, -LARGEST - 1 - bits, bits)


def as_key(value: float) -> int:
    """The key of one value."""
    return int(keys(torch.tensor([value]))[0])


def as_float(key: int) -> float:
    """The float32 value of a key; beyond the largest there is infinity."""
    bits = key if key >= 0 else -LARGEST - 1 - key
    value = float(np.array(bits, dtype=np.int64).astype(np.int32).view(np.float32))
    return value if not math.isnan(value) else math.copysign(math.inf, key)
