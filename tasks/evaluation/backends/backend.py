"""What stands between the benchmarks and a model: lm-eval's interface to it, and what decides its answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM


@dataclass
class Backend:
    """A model that can be asked."""

    lm: LM
    """lm-eval's interface to it."""
    tokenizer: Any
    """The model's, as transformers loads it: it counts tokens, and has or lacks a chat template."""
    device: str
    """What it runs on, in words."""
    dtype: str
    """Of its weights, in words."""
    warnings: tuple[str, ...] = ()
    """What a reader of the scores has to know."""
    together: int = 128
    """Requests that are handed over, and kept, in one go."""

    def plan(self, kind: str, requests: Sequence[Instance]) -> int:  # noqa: ARG002
        """How many of a benchmark's requests are handed over in one go, decided once it is known what they are."""
        return self.together

    def length(self, prompt: str) -> int:
        """How long a prompt is; the longest are asked first."""
        return len(prompt)

    @property
    def batch_size(self) -> int | None:
        """Prompts that are computed together; None where the model's own server decides."""
        return None

    def lower(self, batch_size: int | None) -> None:
        """Take over the batch size that memory had room for in an earlier run."""

    def tokens(self, texts: Sequence[str]) -> int:
        """How many tokens texts have together."""
        return sum(map(len, self.tokenizer(list(texts), add_special_tokens=False)["input_ids"])) if texts else 0
