"""The backend `hf`: transformers in this process, through lm-eval's own interface to it."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from safetensors import SafetensorError

from tasks import paths
from tasks.evaluation.backends.backend import Backend, answer_tokens
from tasks.evaluation.backends.room import prompts_with_room
from tasks.evaluation.settings import Evaluation
from tasks.stage import required
from tasks.strict import ParamsError
from wudi.errors import WudiError
from wudi.folder import is_adapter

GENERATE = "generate_until"
CHOICES_TOGETHER = 16
"""Batches of choices that are handed over in one go: lm-eval computes those with one prompt only once."""


class Model(HFLM):
    """A causal language model that takes fewer prompts at a time where memory runs out."""

    _model: Any

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        """What the model writes after each prompt, greedily or as the task samples."""
        return self.within_memory(super().generate_until, requests, disable_tqdm)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """The log-likelihood of each continuation, and whether it is the likeliest."""
        return self.within_memory(super().loglikelihood, requests, disable_tqdm)

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = True) -> list[float]:
        """The log-likelihood of each whole text."""
        return self.within_memory(super().loglikelihood_rolling, requests, disable_tqdm)

    def within_memory(self, ask: Callable[..., list[Any]], requests: list[Instance], disable_tqdm: bool) -> list[Any]:
        """Ask, and where the device's memory runs out, ask again half as many at a time.

        Raises:
            WudiError: There is no room for one prompt.
        """
        while True:
            try:
                return ask(requests, disable_tqdm=disable_tqdm)
            except RuntimeError as error:
                if not should_reduce_batch_size(error):
                    raise
                problem = str(error).splitlines()[0]
            if self.batch_size_per_gpu == 1:
                raise WudiError(f"no memory for a single prompt on {self.device}: {problem}")
            self.batch_size_per_gpu //= 2
            clear_device_cache(garbage_collection=True)

    def adapt(self, adapter: Path) -> None:
        """Add a PEFT adapter to the weights, whatever base its own settings name.

        Raises:
            WudiError: peft is not installed, or cannot apply the adapter to this model.
        """
        try:
            from peft import PeftModel
        except ImportError:
            raise WudiError(f"{adapter}: is a PEFT adapter, which takes peft to evaluate: pip install peft") from None
        try:
            with warnings.catch_warnings():
                # Otherwise parts of the adapter that fit nowhere would be left out.
                warnings.filterwarnings("error", message="Found missing adapter keys")
                self._model = PeftModel.from_pretrained(self._model, str(adapter)).merge_and_unload().eval()
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, UserWarning) as error:
            problem = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise WudiError(f"{adapter}: peft cannot apply it to {paths.BASE} ({problem})") from None


class Transformers(Backend):
    """A model of this process: its batches are ours to choose."""

    lm: Model

    def __init__(self, model: Model, batch_size: int | None) -> None:
        dtype = str(model.model.dtype).removeprefix("torch.")
        super().__init__(model, model.tokenizer, device_name(model.device), dtype)
        self.chosen = batch_size

    def plan(self, kind: str, requests: Sequence[Instance]) -> int:
        """A batch of prompts, or several of choices."""
        wanted = self.chosen or prompts_with_room(
            self.lm.model, self.most_tokens(kind, requests), choices=kind != GENERATE
        )
        self.lm.batch_size_per_gpu = wanted
        return wanted if kind == GENERATE else CHOICES_TOGETHER * wanted

    def most_tokens(self, kind: str, requests: Sequence[Instance]) -> int:
        """Of the longest request, with its answer."""
        if kind == GENERATE:
            answer = max(answer_tokens(request.args[1], self.lm) for request in requests)
            longest = answer + max(map(self.length, {request.args[0] for request in requests}))
        else:
            longest = max(map(self.length, {"".join(request.args) for request in requests}))
        return int(min(longest, self.lm.max_length))

    def length(self, prompt: str) -> int:
        """In tokens, as lm-eval's backend sorts prompts."""
        return len(self.lm.tok_encode(prompt))

    def prompt_tokens(self, prompt: str) -> int:
        """With what the tokenizer adds."""
        return self.length(prompt)

    @property
    def batch_size(self) -> int:
        """What memory has had room for so far."""
        return int(self.lm.batch_size_per_gpu)

    def lower(self, batch_size: int | None) -> None:
        """What did not fit before does not fit now."""
        self.lm.batch_size_per_gpu = min(self.batch_size, batch_size or self.batch_size)


def load_hf(folder: Path, evaluation: Evaluation) -> Transformers:
    """The model of a folder, on the device and in the dtype of params.yaml; an adapter's is the base with it added.

    Raises:
        WudiError: transformers or peft cannot load it.
    """
    adapted = is_adapter(folder)
    own_tokenizer = (folder / "tokenizer_config.json").is_file()
    device = device_of(evaluation)
    try:
        model = Model(
            pretrained=str(required(paths.BASE, "fetch_base") if adapted else folder),
            tokenizer=str(folder) if adapted and own_tokenizer else None,
            device=device,
            dtype=evaluation.dtype,
            batch_size=1 if evaluation.batch_size == "auto" else evaluation.batch_size,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError, SafetensorError) as error:
        problem = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WudiError(f"{folder}: transformers cannot load it ({type(error).__name__}: {problem})") from None
    if adapted:
        model.adapt(folder)
    return Transformers(model, None if evaluation.batch_size == "auto" else evaluation.batch_size)


def device_of(evaluation: Evaluation) -> str:
    """The device of params.yaml; `auto` is the GPU where there is one.

    Raises:
        ParamsError: No such device, or not on this machine.
    """
    if evaluation.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=evaluation.device).item()
    except (RuntimeError, AssertionError) as error:
        problem = shorten(str(error), 60, placeholder=" ...")
        raise ParamsError(
            f"params.yaml: evaluation.device: got {evaluation.device!r}, which torch cannot use here ({problem}); "
            "takes auto (a GPU where there is one), cpu, cuda, or one GPU as cuda:1"
        ) from None
    return evaluation.device


def device_name(device: torch.device) -> str:
    """What decides the last bits: which GPU, or how many threads share a product on a CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type
