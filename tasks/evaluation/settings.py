"""The `evaluation` section of params.yaml: what is measured, and how."""

import re
import string
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator, model_validator

from tasks.sandbox import Isolation
from tasks.strict import Name, Strict, fail
from tasks.zoo import TASKS_FOLDER

TASKS = {
    "gsm8k": "gsm8k",
    "math": "minerva_math",
    "math500": "minerva_math500",
    "humaneval": "humaneval",
    "mbpp": "mbpp",
}
"""The lm-eval task that a benchmark of this name stands for, unless params.yaml names another one."""


class Benchmark(Strict):
    """A row of the evaluation and the lm-eval task behind it."""

    task: str
    """Any task or group of lm-eval; may be left out where the benchmark's name is one of `TASKS`."""
    num_fewshot: int | None = Field(None, ge=0, strict=True)
    """Few-shot examples; null: what the task defines."""
    limit: int | None = Field(None, ge=1, strict=True)
    """Only the first questions of each lm-eval task; null: all."""
    metric: str | None = None
    """The metric that counts; null: the task's first."""
    filter: str | None = None
    """The answer extraction that counts; null: the task's first."""
    chat_template: bool = False
    """Wrap prompts in the model's chat template."""

    @property
    def is_usual(self) -> bool:
        """Whether there is nothing in it that lm-eval could be without."""
        zoo = {file.stem for file in TASKS_FOLDER.glob("*.yaml")}
        return self.task in {*TASKS.values(), *zoo} and self.metric is None and self.filter is None


class Server(Strict):
    """An OpenAI-compatible server: started for each model, or one that runs already."""

    command: str | None = None
    """Started for each model and stopped after it, with `{model}` (its folder) and `{port}` filled in."""
    url: str | None = None
    """Of a server that runs already, up to and with `/v1`."""
    model: str | None = None
    """What the server calls the model, where `{model}` is its folder; null: the one model that it lists."""
    concurrency: int = Field(32, ge=1)
    """Requests at a time."""
    start_seconds: int = Field(900, ge=1)
    """How long the server may take until it answers."""

    @field_validator("url")
    @classmethod
    def url_is_one(cls, url: str | None) -> str | None:
        """Caught here, a mistake costs no failed requests."""
        if url is not None and not re.fullmatch(r"https?://[^\s/]\S*", url):
            raise fail("takes an address such as http://127.0.0.1:8000/v1")
        return url

    @field_validator("command", "model")
    @classmethod
    def fields_are_known(cls, text: str | None, info: ValidationInfo) -> str | None:
        """A command needs both fields, or it would serve another model, or where nobody asks."""
        needed = {"model", "port"} if info.field_name == "command" else set()
        allowed = {"model", "port"} if info.field_name == "command" else {"model"}
        try:
            found = {field for _, field, _, _ in string.Formatter().parse(text or "") if field is not None}
        except ValueError as error:
            raise fail(f"takes {{model}} and {{port}}, and braces of your own doubled ({error})") from None
        if text is not None and not needed <= found <= allowed:
            raise fail(f"takes {' and '.join(f'{{{name}}}' for name in sorted(allowed))} in the text")
        return text

    @model_validator(mode="after")
    def one_of_both(self) -> Self:
        """A server is either started or there."""
        if (self.command is None) == (self.url is None):
            raise fail("takes either command (to start one for each model) or url (of one that runs)")
        return self


def with_tasks(benchmarks: object) -> object:
    """Benchmarks that are named after the usual ones need name no task, and then no setting at all."""
    if not isinstance(benchmarks, dict):
        return benchmarks
    return {
        name: {"task": TASKS[name]} | (settings or {})
        if name in TASKS and isinstance(settings, dict | None)
        else settings
        for name, settings in benchmarks.items()
    }


def valid_batch_size(value: object) -> int | str:
    """A number, or what finds one."""
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise fail("takes auto, or a whole number from 1 up")


class Evaluation(Strict):
    """What is measured, and how."""

    backend: Literal["hf", "vllm", "server"] = "hf"
    """hf: transformers in this process; vllm: vLLM in this process; server: any OpenAI-compatible server."""
    server: Server | None = None
    """Given with the backend `server`, and with no other."""
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: Annotated[int | Literal["auto"], PlainValidator(valid_batch_size)] = "auto"
    """Prompts at a time; auto: as many as memory has room for. Lowered where the memory of the device runs out."""
    sandbox: Isolation = "bubblewrap"
    """What isolates model-written programs; none runs them unprotected."""
    benchmarks: Annotated[dict[Name, Benchmark], Field(min_length=1), BeforeValidator(with_tasks)]

    @model_validator(mode="after")
    def server_goes_with_its_backend(self) -> Self:
        """Settings that nothing reads are a mistake."""
        if (self.backend == "server") != (self.server is not None):
            raise fail(
                "backend server takes a section server: {command: ...} or {url: ...}"
                if self.server is None
                else f"has a section server, but backend is {self.backend}; write backend: server"
            )
        return self
