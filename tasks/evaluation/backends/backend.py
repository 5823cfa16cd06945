"""What stands between the benchmarks and a model: lm-eval's interface to it, and what decides its answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.utils import normalize_gen_kwargs


def answer_tokens(options: Mapping[str, Any], lm: LM) -> int:
    """How long an answer may be, under any of the names that lm-eval knows for it."""
    return int(normalize_gen_kwargs(dict(options), lm.max_gen_toks)["max_gen_toks"])


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

    def prompt_tokens(self, prompt: str) -> int:
        """Tokens of a prompt, to tell whether it has to be cut."""
        return self.tokens([prompt])

    @property
    def batch_size(self) -> int | None:
        """Prompts that are computed together; None where the model's own server decides."""
        return None

    def lower(self, batch_size: int | None) -> None:
        """Take over the batch size that memory had room for in an earlier run."""

    def tokens(self, texts: Sequence[str]) -> int:
        """How many tokens texts have together."""
        return sum(map(len, self.tokenizer(list(texts), add_special_tokens=False)["input_ids"])) if texts else 0
