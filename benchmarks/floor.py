"""What the machine can do at best: float32 products a second, and bytes a second."""

from dataclasses import dataclass

import torch

from benchmarks.timing import in_turn, seconds

SIDE = 2048
ENTRIES = 1 << 26


@dataclass(frozen=True)
class Floor:
    """Measured rates, in operations and bytes a second."""

    operations: float
    bytes: float

    @classmethod
    def of(cls, device: torch.device) -> "Floor":
        """Measure a product of 2048 × 2048 matrices and a copy of 256 MB."""
        left, right = torch.randn(2, SIDE, SIDE, device=device)
        source, target = torch.randn(ENTRIES, device=device), torch.empty(ENTRIES, device=device)
        seconds(lambda: left @ right, device), seconds(lambda: target.copy_(source), device)
        times = in_turn({"product": lambda: left @ right, "copy": lambda: target.copy_(source)}, device, rounds=9)
        return cls(2 * SIDE**3 / times["product"], 8 * ENTRIES / times["copy"])

    def __str__(self) -> str:
        return f"{self.operations / 1e9:.0f} GFLOP/s in float32 products, {self.bytes / 1e9:.0f} GB/s in a copy"
