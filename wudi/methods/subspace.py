"""Methods that merge the singular directions of the task vectors: TSV-M, Iso-C and Iso-CTS.

Directions without weight (singular values that are rounding alone) are left out: an SVD fills them with arbitrary
vectors, which would mean something to these methods.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wudi.low_rank import norm
from wudi.methods.coordinates import in_joint_space
from wudi.methods.method import Layer, Method, Update
from wudi.settings import Settings, setting

ISOTROPIC = "Marczak et al., No task left behind: isotropic model merging, ICML 2025, arXiv 2502.04959"


DEPENDENT = 1e-5
"""Unit vectors of several experts are one direction where they differ by less: task vectors in float32 hold no more."""


@dataclass(frozen=True)
class Triplets:
    """U, S and Vᵀ of shapes (out, k), (k,) and (k, in), largest first."""

    left: Tensor
    sizes: Tensor
    right: Tensor

    def top(self, count: int) -> "Triplets":
        """The first `count`."""
        return Triplets(self.left[:, :count], self.sizes[:count], self.right[:count])

    def __len__(self) -> int:
        return len(self.sizes)


@in_joint_space
def tsv_m(layer: Layer, settings: Settings) -> Update:
    """Keep the top min(out, in)/T singular triplets of each expert, orthogonalise all of them together, and add up."""
    kept = max(1, min(layer.shape) // len(layer.deltas))
    triplets = joined([decompose(delta).top(kept) for delta in layer.dense])
    if not len(triplets):
        return Update(layer.zero())
    merged = (orthogonal(triplets.left) * triplets.sizes) @ orthogonal(triplets.right)
    return Update(merged, {"rank": len(triplets)})


@in_joint_space
def iso_c(layer: Layer, settings: Settings) -> Update:
    """Give every singular direction of the sum of the task vectors the mean of its singular values."""
    total = decompose(layer.sum())
    if not len(total):
        return Update(layer.zero())
    return Update(total.left @ total.right * total.sizes.mean(), {"rank": len(total)})


@dataclass(frozen=True, kw_only=True)
class IsoCtsSettings(Settings):
    """80 % of the directions are common, as the authors have it."""

    common: float = setting(0.8, "fraction of the directions that the sum decides", at_least=0, at_most=1)


@in_joint_space
def iso_cts(layer: Layer, settings: IsoCtsSettings) -> Update:
    """As iso_c, with the last directions of the sum replaced by each expert's own top ones outside the common space."""
    count, smaller = len(layer.deltas), min(layer.shape)
    own = min(round((smaller - int(smaller * settings.common)) / count), smaller // count)
    common = decompose(layer.sum()).top(smaller - own * count)
    rest = [
        decompose(delta - common.left @ (common.left.T @ delta), scale=norm(delta)).top(own) for delta in layer.dense
    ]
    triplets = joined([common, *rest])
    if not len(triplets):
        return Update(layer.zero())
    merged = orthogonal(triplets.left) @ orthogonal(triplets.right) * triplets.sizes.mean()
    return Update(merged, {"rank": len(triplets)})


def decompose(matrix: Tensor, scale: float | None = None) -> Triplets:
    """The singular triplets that are more than rounding: of the largest singular value, or of `scale` where given."""
    left, sizes, right = torch.linalg.svd(matrix, full_matrices=False)
    largest = float(sizes[:1].sum()) if scale is None else scale
    rounding = 4.0 * torch.finfo(matrix.dtype).eps * math.sqrt(max(matrix.shape)) * largest
    present = int((sizes > rounding).sum())
    return Triplets(left[:, :present], sizes[:present], right[:present])


def joined(parts: list[Triplets]) -> Triplets:
    """All triplets side by side."""
    return Triplets(
        torch.cat([part.left for part in parts], dim=1),
        torch.cat([part.sizes for part in parts]),
        torch.cat([part.right for part in parts]),
    )


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest matrix with orthonormal columns (or rows, where there are fewer): UVᵀ of its SVD UΣVᵀ.

    Where columns repeat one another, as those of experts that share a direction, it is the nearest on their span.
    """
    left, sizes, right = torch.linalg.svd(matrix, full_matrices=False)
    present = int((sizes > DEPENDENT * sizes[:1].sum()).sum())
    return left[:, :present] @ right[:present]


METHODS = (
    Method(
        name="tsv_m",
        source="Gargiulo et al., Task singular vectors, CVPR 2025, arXiv 2412.00081",
        settings=Settings,
        merge=tsv_m,
    ),
    Method(name="iso_c", source=ISOTROPIC, settings=Settings, merge=iso_c),
    Method(name="iso_cts", source=ISOTROPIC, settings=IsoCtsSettings, merge=iso_cts),
)
