"""What a tensor is in its model."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["linear", "embedding", "rest"]


@dataclass(frozen=True)
class Role:
    """A tensor's kind, and whether its matrices are stored as (in, out), as GPT-2's are, and not as (out, in).

    A linear tensor of three dimensions is a stack of matrices, one for each expert of a mixture.
    """

    kind: Kind
    transposed: bool = False
