"""Random numbers that depend on what they are for, and on no order, no worker and no device."""

import hashlib

import numpy as np
import torch
from torch import Tensor

BLOCK = 1 << 17
"""Entries that share a generator, so that a slice of a tensor is drawn without what comes before it."""
UNUSED = np.uint32(8)
"""Of 32 bits: a float32 has 24."""


def uniform(key: str, offset: int, count: int) -> Tensor:
    """Numbers drawn uniformly from [0, 1), float32, shape (count,), for entries that begin at `offset`.

    Entry n of a key gets the same number in whatever slice it is asked for; slices begin at multiples of `BLOCK`.
    """
    assert offset % BLOCK == 0, f"a slice begins at {offset}, within a block of {BLOCK}"
    drawn = np.empty(count, dtype=np.float32)
    for first in range(0, count, BLOCK):
        part = drawn[first : first + BLOCK]
        # Faster than torch's generators on a CPU; and numpy promises the same bits in every version.
        bits = np.random.SFC64(seed_of(f"{key}/{(offset + first) // BLOCK}")).random_raw(len(part) // 2 + 1)
        np.multiply(bits.view(np.uint32)[: len(part)] >> UNUSED, np.float32(2.0**-24), out=part, casting="unsafe")
    return torch.from_numpy(drawn)


def seed_of(key: str) -> int:
    """A seed of 128 bits."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big")
