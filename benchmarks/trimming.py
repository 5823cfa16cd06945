"""The magnitude threshold of a tensor, exactly, beside torch's own ways to find it; the floor is to read it once."""

import torch

from benchmarks.floor import Floor
from benchmarks.timing import in_turn, in_words
from wudi.methods.magnitude import rank_of_threshold, threshold

DENSITY = 0.2
SIDES = ((4096, 4096), (14336, 4096))


def compare(shape: tuple[int, int], device: torch.device, floor: Floor) -> dict[str, str]:
    """A row: seconds of each way, and whether all find the same value."""
    magnitudes = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    flat = magnitudes.abs().flatten()
    kept = flat.numel() - rank_of_threshold(flat.numel(), DENSITY) + 1
    ways = {
        "this project": lambda: threshold(magnitudes, DENSITY, "tensor"),
        "torch.topk": lambda: torch.topk(magnitudes.abs().flatten(), kept).values[-1],
        "torch.kthvalue": lambda: magnitudes.abs().flatten().kthvalue(flat.numel() - kept + 1).values,
    }
    found = {name: float(way()) for name, way in ways.items()}
    times = in_turn(ways, device)
    return {
        "tensor": f"{shape[0]} × {shape[1]}",
        **{name: in_words(seconds) for name, seconds in times.items()},
        "floor": in_words(4.0 * flat.numel() / floor.bytes),
        "topk / this": f"{times['torch.topk'] / times['this project']:.1f} ×",
        "same value": "yes" if len(set(found.values())) == 1 else "no",
    }
