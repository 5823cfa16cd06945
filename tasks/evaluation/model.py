"""The model under evaluation: lm-eval's transformers backend, with answers kept as they come."""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import CacheHook, CachingLM
from lm_eval.models.huggingface import HFLM

from tasks import paths
from tasks.console import bar
from tasks.evaluation.settings import Evaluation
from tasks.stage import required
from tasks.strict import ParamsError
from wudi.errors import WudiError
from wudi.folder import ADAPTER_CONFIG, is_adapter


class Model(HFLM):
    """A causal language model that shows how far it has come with the questions at hand."""

    subject = "evaluating"
    """What the bar says is being done."""
    cache_hook: Any
    _model: Any

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

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:  # noqa: ARG002
        """Answer the requests by greedy or sampled generation."""
        with self.watched(len(requests)):
            return super().generate_until(requests, disable_tqdm=True)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:  # noqa: ARG002
        """The log-likelihood of each request's continuation."""
        with self.watched(len(requests)):
            return super().loglikelihood(requests, disable_tqdm=True)

    @contextmanager
    def watched(self, total: int) -> Iterator[None]:
        """Show a bar that moves as answers come to the cache hook, the one place that hears of each."""
        hook = self.cache_hook
        with bar(self.subject, total) as advance:
            self.cache_hook = Watched(hook, advance)
            try:
                yield
            finally:
                self.cache_hook = hook


class Watched:
    """A cache hook that counts what passes through it."""

    def __init__(self, hook: CacheHook, advance: Callable[[], None]) -> None:
        self.hook, self.advance = hook, advance

    def add_partial(self, kind: str, request: Any, answer: Any) -> None:
        """Hand an answer on and count it."""
        self.hook.add_partial(kind, request, answer)
        self.advance()


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
        problem = str(error).splitlines()[0]
        raise ParamsError(f"params.yaml: evaluation.device: got {evaluation.device!r}; {problem}") from None
    return evaluation.device


def load_model(folder: Path, evaluation: Evaluation) -> Model:
    """The model of a folder, on the device and in the dtype of params.yaml; an adapter's is the base with it added."""
    adapted = is_adapter(folder)
    own_tokenizer = (folder / "tokenizer_config.json").is_file()
    model = Model(
        pretrained=str(required(paths.BASE, "fetch_base") if adapted else folder),
        tokenizer=str(folder) if adapted and own_tokenizer else None,
        device=device_of(evaluation),
        dtype=evaluation.dtype,
        batch_size=evaluation.batch_size,
    )
    if adapted:
        model.adapt(folder)
    return model


def model_sha256(folder: Path) -> str:
    """The hash of a model's weights, which a score belongs to: of the file, or of the hashes of its shards.

    An adapter's covers its settings, which scale it, and the base too.
    """
    files = sorted(folder.glob("*.safetensors"))
    if is_adapter(folder):
        files += [folder / ADAPTER_CONFIG, *sorted(paths.BASE.glob("*.safetensors"))]
    hashes = []
    for file in files:
        with file.open("rb") as stream:
            hashes.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


@contextmanager
def resumable(model: Model, name: str, sha256: str, evaluation: Evaluation) -> Iterator[CachingLM]:
    """Keep each answer on disk as it comes, so that an interrupted evaluation goes on where it was.

    Answers belong to the weights and to what decides how they are generated. They are dropped once the evaluation is
    complete: a run that is forced computes them anew.
    """
    settings = evaluation.model_dump(include={"backend", "dtype", "batch_size"})
    key = hashlib.sha256(json.dumps([sha256, settings], sort_keys=True).encode()).hexdigest()[:16]
    folder = paths.CACHE / "answers"
    caching = CachingLM(model, str(folder / f"{name}-{key}.db"))
    try:
        yield caching
    finally:
        caching.dbdict.close()
    for file in folder.glob(f"{name}-{'[0-9a-f]' * 16}.db*"):
        file.unlink()
