"""How alike the experts are: the cosine of the angle between each two of their task vectors.

With ⟨·,·⟩ the sum of the entrywise products over all tensors of a group (the model, a kind of tensor, a module), it is

    cos(i, j) = ⟨τᵢ, τⱼ⟩ / (‖τᵢ‖ ‖τⱼ‖),

which adds up tensor by tensor, in float64. For task vectors that are kept as factors, τᵢ = BᵢAᵢ,

    ⟨τ₁, τ₂⟩ = tr((A₂A₁ᵀ)(B₁ᵀB₂)),

so that no product of the size of the layer is formed. A task vector that is zero has no direction: its cosine is 0 with
every one, itself included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from wudi.architecture import Kind, roles
from wudi.checkpoint import Checkpoint
from wudi.experts import Expert, read_base
from wudi.low_rank import LowRank, TaskVector
from wudi.names import module_name
from wudi.preflight import check_experts
from wudi.progress import Track, silent

BLOCK = 1 << 20
"""Entries of a task vector that are held in float64 at a time."""

DECIMALS = 6


@dataclass(frozen=True)
class Similarity:
    """Cosines of T experts, each a symmetric matrix of shape (T, T) in float64."""

    experts: tuple[str, ...]
    overall: Tensor
    kinds: Mapping[str, Tensor]
    """By what the tensors are in the architecture: linear, embedding, rest."""
    modules: Mapping[str, Tensor]
    """The linear weights by the name of their module: q_proj, k_proj, ..."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, rounded to what is more than float32 experts can tell."""
        return {
            "experts": list(self.experts),
            "overall": rounded(self.overall),
            "kinds": {name: rounded(matrix) for name, matrix in self.kinds.items()},
            "modules": {name: rounded(matrix) for name, matrix in self.modules.items()},
        }


def similarity(base: Checkpoint, experts: Sequence[Expert], *, track: Track = silent) -> Similarity:
    """Compare the experts' task vectors, read tensor by tensor.

    Raises:
        WudiError: Experts that do not fit the base or equal it, NaN or infinity in an input.
    """
    check_experts(base, experts)
    known = roles(base)
    grams: dict[tuple[Kind, str], Tensor] = {}
    for name in track([name for name, info in base.tensors.items() if info.floating], "comparing task vectors"):
        weight, role = read_base(base, name, torch.device("cpu")), known[name]
        gram = inner_products([expert.delta(name, weight, transposed=role.transposed) for expert in experts])
        group = role.kind, module_name(name)
        grams[group] = grams[group] + gram if group in grams else gram

    def of(kind: Kind) -> list[Tensor]:
        return [gram for (own, _), gram in grams.items() if own == kind]

    return Similarity(
        experts=tuple(expert.name for expert in experts),
        overall=cosines(torch.stack(list(grams.values())).sum(dim=0)),
        kinds={kind: cosines(torch.stack(of(kind)).sum(dim=0)) for kind in get_args(Kind) if of(kind)},
        modules={module: cosines(gram) for (kind, module), gram in grams.items() if kind == "linear"},
    )


def cosines(gram: Tensor) -> Tensor:
    """⟨τᵢ, τⱼ⟩ divided by both norms; 0 where one of them is 0."""
    norms = gram.diagonal().sqrt()
    inverse = torch.where(norms > 0, 1.0 / norms, 0.0)
    return (gram * torch.outer(inverse, inverse)).clamp(-1.0, 1.0)


def inner_products(deltas: Sequence[TaskVector]) -> Tensor:
    """⟨τᵢ, τⱼ⟩ of one tensor's task vectors, shape (T, T)."""
    gram = torch.zeros(len(deltas), len(deltas), dtype=torch.float64)
    full = {index: delta for index, delta in enumerate(deltas) if isinstance(delta, Tensor)}
    factored = {index: in_float64(delta) for index, delta in enumerate(deltas) if isinstance(delta, LowRank)}
    places = torch.tensor(list(full), dtype=torch.long)
    if full:
        gram[places[:, None], places] = dense_products(list(full.values()))
    for index, delta in factored.items():
        for other, factors in factored.items():
            gram[index, other] = low_rank_product(delta, factors)
        for other, whole in full.items():
            gram[index, other] = gram[other, index] = mixed_product(whole, delta)
    return (gram + gram.T) / 2  # the two halves may differ in the last digit


def dense_products(deltas: Sequence[Tensor]) -> Tensor:
    """⟨τᵢ, τⱼ⟩ of whole tensors, a block of entries after the other."""
    flat = [delta.reshape(-1) for delta in deltas]
    gram = torch.zeros(len(flat), len(flat), dtype=torch.float64)
    for start in range(0, flat[0].numel(), BLOCK):
        block = torch.stack([entries[start : start + BLOCK].double() for entries in flat])
        gram += block @ block.T
    return gram


def low_rank_product(first: LowRank, second: LowRank) -> Tensor:
    """tr((A₂A₁ᵀ)(B₁ᵀB₂)), of matrices no larger than the ranks."""
    return ((first.left.T @ second.left) * (first.right @ second.right.T)).sum()


def mixed_product(whole: Tensor, factors: LowRank) -> Tensor:
    """⟨τ, BA⟩ = Σ (Bᵀτ) ∘ A, a block of rows after the other."""
    rows = max(1, BLOCK // max(1, whole.shape[1]))
    total = torch.zeros((), dtype=torch.float64)
    for start in range(0, whole.shape[0], rows):
        part = factors.left[start : start + rows].T @ whole[start : start + rows].double()
        total += (part * factors.right).sum()
    return total


def in_float64(delta: LowRank) -> LowRank:
    """The same factors in float64."""
    return LowRank(delta.left.double(), delta.right.double())


def rounded(matrix: Tensor) -> list[list[float]]:
    """Rows of numbers; adding 0 turns a −0 into a 0."""
    return [[round(value, DECIMALS) + 0.0 for value in row] for row in matrix.tolist()]
