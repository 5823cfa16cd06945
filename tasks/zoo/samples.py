"""Training samples: a prompt with its few-shot examples as the evaluation shows it, and the loss on the answers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from tasks.zoo.problems import Document, Miniature

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

IGNORED = -100
"""The label of a token without loss, as in `torch.nn.functional.cross_entropy`."""

Sample = tuple[list[int], list[int]]
"""Token ids, and the same with `IGNORED` in place of everything but the answers."""


class Sampler:
    """Turns the documents of one miniature into samples, each text encoded once."""

    def __init__(
        self, miniature: Miniature, tokenizer: "PreTrainedTokenizerFast", documents: Sequence[Document]
    ) -> None:
        self._problems = miniature.shots + 1
        self._end = tokenizer.eos_token_id
        self._gap = tokenizer.encode("\n\n")
        self._prompts = [tokenizer.encode(miniature.prompt(document)) for document in documents]
        self._answers = [tokenizer.encode(miniature.answer(document)) for document in documents]

    def samples_for(self, problems: int) -> int:
        """How many samples hold about this many problems; one at least."""
        return max(1, round(problems / self._problems))

    def sample(self, generator: torch.Generator) -> Sample:
        """Draw as many problems as the evaluation shows at once.

        The loss counts the answers of the examples too: each stands at the end of a shorter prompt of the same form.
        """
        ids: list[int] = []
        labels: list[int] = []
        chosen = torch.randint(len(self._prompts), (self._problems,), generator=generator).tolist()
        for position, index in enumerate(chosen):
            last = position == self._problems - 1
            prompt, answer = self._prompts[index], self._answers[index]
            end = [self._end] if last else self._gap
            ids += prompt + answer + end
            labels += [IGNORED] * len(prompt) + answer + (end if last else [IGNORED] * len(end))
        return ids, labels


def batch(samples: Sequence[Sample], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad on the right to one length; causal attention never looks there, so no mask is needed."""
    length = max(len(ids) for ids, _ in samples)
    inputs = [ids + [padding] * (length - len(ids)) for ids, _ in samples]
    labels = [wanted + [IGNORED] * (length - len(wanted)) for _, wanted in samples]
    return torch.tensor(inputs), torch.tensor(labels)
