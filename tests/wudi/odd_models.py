"""Small models with all that checkpoints hold besides matrices of float32."""

from pathlib import Path

import torch
from torch import Tensor

from tests.wudi.merges import Trio, bare_files

CONV1D, SCALAR, EMPTY, BUFFERS = "h.0.attn.c_attn.weight", "layers.0.gate", "layers.0.nothing", ("steps", "mask")
DTYPES = {"layers.0.down.weight": torch.float64, "layers.0.up.weight": torch.float16, "head.bias": torch.bfloat16}
SHAPES = {
    CONV1D: (16, 48),
    "h.0.attn.c_attn.bias": (48,),
    "layers.0.up.weight": (24, 16),
    "layers.0.down.weight": (16, 24),
    "layers.0.mlp.experts.gate_up_proj": (3, 24, 16),
    "layers.0.mlp.experts.down_proj": (3, 16, 12),
    SCALAR: (),
    EMPTY: (0, 4),
    "head.bias": (33,),
}


def odd_tensors(seed: int) -> dict[str, Tensor]:
    """A base, or an expert of it where the seed is not 0, with tensors of every kind."""
    generator, own = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in SHAPES.items():
        weight = torch.randn(shape, generator=generator)
        step = torch.randn(shape, generator=own) * 0.1
        tensors[name] = (weight + step if seed else weight).to(DTYPES.get(name, torch.float32))
    return tensors | {"steps": torch.arange(5), "mask": torch.tensor([True, False, True])}


def odd_trio(folder: Path, experts: int = 3) -> Trio:
    """A base and experts, one file each."""
    return bare_files(folder, [odd_tensors(seed) for seed in range(experts + 1)])
