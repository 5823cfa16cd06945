"""Asking a model a benchmark's questions, batch by batch, in the same batches in every run.

Which prompts share a batch decides how they are padded, and with that the last bits of the logits. So the batch and not
the question is what is kept: requests are cut into the same batches always, and one that was interrupted is asked again
as a whole. An evaluation that was killed at any moment ends with the very answers of one that was not. Where answers
are sampled, each batch draws from a generator of its own.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from transformers import set_seed

from tasks.console import bar
from tasks.evaluation.backends.backend import Backend, answer_tokens
from tasks.evaluation.kept import KeptAnswers


@dataclass
class Spent:
    """What was generated in this run, and how long that took."""

    tokens: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, float | int | None]:
        """For people; without a speed where everything was there already."""
        speed = round(self.tokens / self.seconds, 1) if self.seconds else None
        return {"tokens": self.tokens, "generation_seconds": round(self.seconds, 3), "tokens_per_second": speed}


class Asking(LM):
    """A model as lm-eval asks it, that answers from what is kept where it can, and shows how far it has come."""

    def __init__(self, backend: Backend, kept: KeptAnswers, subject: str) -> None:
        super().__init__()
        self.backend, self.kept, self.subject = backend, kept, subject
        self.spent = Spent()
        self.cut = 0

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """What the model writes after each prompt, up to a stop string."""
        return self._answers("generate_until", requests)

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """The log-likelihood of each continuation, and whether it is the likeliest."""
        return [(value, greedy) for value, greedy in self._answers("loglikelihood", requests)]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """The log-likelihood of each whole text."""
        return self._answers("loglikelihood_rolling", requests)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The prompt that the model's chat template makes of a conversation."""
        return str(self.backend.lm.apply_chat_template(chat_history, add_generation_prompt=add_generation_prompt))

    @property
    def tokenizer_name(self) -> str:
        """Of the model that is asked."""
        return str(self.backend.lm.tokenizer_name)

    def cut_prompts(self) -> list[str]:
        """A warning where prompts lost their beginning."""
        room = self.backend.lm.max_length
        return [f"{self.cut} prompts lost their beginning: the model takes {room} tokens in all"] if self.cut else []

    def _is_cut(self, kind: str, request: Instance) -> bool:
        """Whether a prompt has no room beside its answer."""
        prompt, answer = request.args
        room = self.backend.lm.max_length - (answer_tokens(answer, self.backend.lm) if kind == "generate_until" else 0)
        text = prompt if kind == "generate_until" else prompt + answer
        # No token is shorter than a byte, so texts with fewer bytes than room need not be tokenized.
        return len(text.encode()) > room and self.backend.prompt_tokens(text) > room

    def _answers(self, kind: str, requests: list[Instance]) -> list[Any]:
        answers: list[Any] = [None] * len(requests)
        self.cut += 0 if kind == "loglikelihood_rolling" else sum(self._is_cut(kind, request) for request in requests)
        with bar(self.subject, len(requests)) as advance:
            self.backend.lm.set_cache_hook(Counting(advance))
            batches = self._batches(kind, requests)
            planned = self.backend.batch_size
            for number, places in enumerate(batches):
                batch = [requests[place] for place in places]
                key = batch_key(kind, planned, number, batch)
                found = self.kept.find(key)
                if found is None:
                    given = self._ask(kind, key, batch)
                else:
                    given, batch_size = found
                    self.backend.lower(batch_size)
                    advance(len(batch))
                for place, answer in zip(places, given, strict=True):
                    answers[place] = answer
        return answers

    def _ask(self, kind: str, key: str, batch: list[Instance]) -> list[Any]:
        set_seed(int(key[:8], 16))
        started = time.monotonic()
        given: list[Any] = getattr(self.backend.lm, kind)(batch, disable_tqdm=True)
        if kind == "generate_until":
            self.spent.seconds += time.monotonic() - started
            self.spent.tokens += self.backend.tokens(given)
        self.kept.keep(key, given, self.backend.batch_size)
        return given

    def _batches(self, kind: str, requests: Sequence[Instance]) -> list[list[int]]:
        """Places of requests by batch: prompts of one kind of generation together, the longest first.

        That is the order of lm-eval's own backend, so batches of one size are padded as they are there.
        """
        size = self.backend.plan(kind, requests)
        groups: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            group = json.dumps(request.args[1], sort_keys=True) if kind == "generate_until" else ""
            groups.setdefault(group, []).append(place)
        lengths = {prompt: self.backend.length(prompt) for prompt in {request.args[0] for request in requests}}
        batches = []
        for places in groups.values():
            places.sort(key=lambda place: (-lengths[requests[place].args[0]], requests[place].args[0]))
            batches += [places[start : start + size] for start in range(0, len(places), size)]
        return batches


class Counting:
    """A cache hook of lm-eval, the one place that hears of each answer as it comes."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self.advance = advance

    def add_partial(self, kind: str, request: Any, answer: Any) -> None:  # noqa: ARG002
        """Count an answer."""
        self.advance(1)


def batch_key(kind: str, planned: int | None, number: int, batch: Sequence[Instance]) -> str:
    """What a batch's answers are kept under: everything that is asked in it, and its place among the others.

    The place tells apart batches that ask the same and sample their answers; the planned number of prompts at a time,
    those of choices, of which several batches are asked in one go.
    """
    asked = json.dumps([kind, planned, number, [request.args for request in batch]])
    return hashlib.sha256(asked.encode()).hexdigest()
