"""What a safetensors header says of a tensor."""

from dataclasses import dataclass
from math import prod

BITS = {"F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32}
BITS |= {"F16": 16, "BF16": 16, "I16": 16, "U16": 16, "I8": 8, "U8": 8, "BOOL": 8}
BITS |= {"F8_E4M3": 8, "F8_E4M3FNUZ": 8, "F8_E5M2": 8, "F8_E5M2FNUZ": 8, "F8_E8M0": 8}
BITS |= {"F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}
FLOATING = {"F64", "F32", "F16", "BF16"}
WHOLE = {"I64", "U64", "I32", "U32", "I16", "U16", "I8", "U8", "BOOL"}


@dataclass(frozen=True)
class TensorInfo:
    """A tensor's dtype, in safetensors' words (F32, BF16, ...), and its shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def floating(self) -> bool:
        """Whether there is something to merge; buffers of whole numbers are copied from the base."""
        return self.dtype in FLOATING

    @property
    def mergeable(self) -> bool:
        """Whether it is a weight or a buffer, and not what is left of a weight by quantisation to 8 bits or fewer."""
        return self.dtype in FLOATING | WHOLE

    @property
    def elements(self) -> int:
        """The number of entries."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """The size in bytes."""
        return self.elements * BITS[self.dtype] // 8
