"""lm-eval's client of an OpenAI-compatible server: it asks as the transformers backend does, and waits out failures."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.models.utils import normalize_gen_kwargs, postprocess_generated_text
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from wudi.errors import WudiError

ATTEMPTS = 6
"""Of a request, with 1, 1, 2, 4 and 8 seconds between them."""
SECONDS = 1800
"""For one answer, from the server's taking the question; a server on a CPU writes some tokens a second."""
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Statuses of failures that may pass."""
KEPT = "; answers so far are kept, and the same command goes on with the others"

Payload = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """A request, and how to read what the server returns."""

    key: Any
    """What lm-eval's cache hook knows the request by; None where it is a part of one."""
    payload: Payload
    read: Callable[[Any], Any]


class Refused(WudiError):
    """The server does not take a request, and would not take it again."""


class Unavailable(WudiError):
    """The server did not answer, which may pass."""


class Completions(LocalCompletionsAPI):
    """A model behind `/v1/completions`, with prompts, lengths and answers as of the model in this process.

    The harness's own client adds no token of beginning, counts 2048 tokens as the length, keeps stop strings that a
    server returns, and asks again what a server refuses.
    """

    # The tokens and the templated text are made by the very code that makes them for transformers.
    tok_encode = HFLM.tok_encode
    apply_chat_template = HFLM.apply_chat_template

    def __init__(
        self, url: str, model: str, folder: Path, length: int, concurrency: int, check: Callable[[], None]
    ) -> None:
        super().__init__(
            base_url=f"{url}/completions",
            model=model,
            tokenizer=str(folder),
            tokenizer_backend="huggingface",
            max_length=length,
            num_concurrent=concurrency,
        )
        self.add_bos_token = None
        """As the tokenizer's own settings say."""
        self.chat_template_args: dict[str, Any] = {}
        self.length = length
        """Of a prompt and its answer together; `max_length`, which a prompt to be scored may take, is one less."""
        self.check = check
        """Raises an error if the server has ended."""

    @property
    def max_gen_toks(self) -> int:
        """Tokens of an answer, where a task does not say."""
        return self._max_gen_toks

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:  # noqa: ARG002
        """Answer the requests by greedy or sampled generation."""
        questions = [
            Question(request.args, self.generation(*request.args), partial(self.text, settings=request.args[1]))
            for request in requests
        ]
        return self.answers("generate_until", questions)

    def generation(self, prompt: str, settings: dict[str, Any]) -> Payload:
        """The request for an answer; of a prompt that is too long beside it the end."""
        wanted = dict(normalize_gen_kwargs(settings, self.max_gen_toks))
        room = max(1, self.length - wanted["max_gen_toks"])
        message = self.message(prompt, self.tok_encode(prompt), room)
        payload = self._create_payload(message, generate=True, gen_kwargs=wanted, seed=self._seed)
        if not payload["stop"]:
            del payload["stop"]  # an empty list is an error to some servers
        if payload["temperature"] > 0:
            # As transformers draws from this process's generator: the samples of a repeated question must differ.
            payload["seed"] = random.randrange(2**31)
        return payload

    def message(self, prompt: str, tokens: list[int], room: int) -> str | list[list[int]]:
        """A prompt as the server takes it: tokens, or text to which it adds the token of beginning itself."""
        if self.tokenized_requests:
            return [tokens[-room:]]
        text = prompt if len(tokens) <= room else self.tokenizer.decode(tokens[-room:])
        adds_beginning = self.tokenizer("")["input_ids"][:1] == [self.tokenizer.bos_token_id]
        return text.removeprefix(self.tokenizer.bos_token) if adds_beginning else text

    def text(self, output: Any, settings: dict[str, Any]) -> str:
        """An answer up to its first stop string, whether or not the server has cut there."""
        until = normalize_gen_kwargs(settings)["until"]
        text = self.choice(output, "text") or ""
        answer: str = postprocess_generated_text(text, [*until, self.eos_string or ""], None)
        return answer

    def _loglikelihood_tokens(self, requests: Sequence[Any], **options: Any) -> list[tuple[float, bool]]:  # noqa: ARG002
        inputs, lengths, keys = self.batch_loglikelihood_requests([list(requests)])
        questions = [
            Question(
                key,
                self._create_payload([tokens], generate=False, seed=self._seed),
                partial(self.likelihood, tokens=tokens, context=length),
            )
            for tokens, length, key in zip(inputs, lengths, keys, strict=True)
        ]
        return self.answers("loglikelihood", questions)

    def likelihood(self, output: Any, tokens: list[int], context: int) -> tuple[float, bool]:
        """The log-likelihood of the tokens behind the context, and whether each is the likeliest.

        Raises:
            WudiError: The server returns the log-probabilities of its answer alone, or none.
        """
        logprobs = self.choice(output, "logprobs") or {}
        # Of every token of the prompt, and of the one that the server had to write.
        if len(logprobs.get("token_logprobs") or []) != len(tokens) + 1 or not logprobs.get("top_logprobs"):
            raise Refused(
                f"{self.base_url} gives no log-probabilities of a prompt (echo with logprobs), by which the answers to "
                "multiple-choice questions are judged; take a server that does, such as vLLM's, or backend: hf"
            )
        ((likelihood, greedy),) = self.parse_logprobs(outputs=[output], tokens=[tokens], ctxlens=[context])
        return likelihood, greedy

    def choice(self, output: Any, key: str) -> Any:
        """A value of the one answer in what the server returned."""
        try:
            return output["choices"][0][key]
        except (KeyError, IndexError, TypeError):
            got = json.dumps(output)[:200]
            raise Refused(f"{self.base_url} returned something that is no completion: {got}") from None

    def answers(self, kind: str, questions: Sequence[Question]) -> list[Any]:
        """The answers, in the order of the questions.

        Raises:
            Refused: The server does not take a question.
            Unavailable: It does not answer.
        """
        return asyncio.run(self.ask_all(kind, questions))

    async def ask_all(self, kind: str, questions: Sequence[Question]) -> list[Any]:
        """Have as many questions under way as params.yaml says, until all are answered or one has failed."""
        free = asyncio.Semaphore(self._concurrent)

        async def in_turn(question: Question) -> Any:
            async with free:
                answer = question.read(await self.ask(session, question.payload))
            if question.key is not None:
                self.cache_hook.add_partial(kind, question.key, answer)
            return answer

        connector = TCPConnector(limit=self._concurrent)
        async with ClientSession(connector=connector, timeout=ClientTimeout(total=SECONDS)) as session:
            return await asyncio.gather(*map(in_turn, questions))

    async def ask(self, session: ClientSession, payload: Payload) -> Any:
        """Ask until there is an answer; failures that may pass are waited out."""
        return await AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=0.5, min=1, max=10),
            reraise=True,
        )(self.post, session, payload)

    async def post(self, session: ClientSession, payload: Payload) -> Any:
        """Ask once."""
        try:
            async with session.post(self.base_url, json=payload, headers=self.header) as response:
                if response.ok:
                    return await response.json()
                problem = f"{self.base_url} answered {response.status}: {await message_of(response)}"
                if response.status not in PASSING:
                    raise Refused(problem)
        except (ClientError, TimeoutError) as error:
            self.check()
            problem = f"{self.base_url} does not answer ({str(error) or type(error).__name__})"
        raise Unavailable(f"{problem}; asked {ATTEMPTS} times{KEPT}")


async def message_of(response: ClientResponse) -> str:
    """What a server says about a failure, in whichever of the usual places."""
    text = (await response.text()).strip()
    try:
        said = json.loads(text)
    except ValueError:
        return text[:500] or str(response.reason)
    for key in ("error", "message", "detail"):
        if isinstance(said, dict) and key in said:
            said = said[key]
    return str(said)[:500]
