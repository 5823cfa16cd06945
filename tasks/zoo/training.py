"""Trains the zoo's models on the CPU: the same settings give the same bytes on the same machine."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tasks.zoo.problems import MINIATURES, Miniature
from tasks.zoo.samples import Sampler, batch
from tasks.zoo.settings import ZooSettings
from tasks.zoo.tokenizer import train_tokenizer
from wudi.progress import Track

_BASE_PROBLEMS = 12
_EXPERT_PROBLEMS = 16
"""About how many problems of each miniature a step reads."""

_BASE_RATE = 2e-3
_EXPERT_RATE = 4e-4
"""Higher than this, experts forget the base and no recipe can merge them."""

_WARM_UP = 0.1
_TRAIN_DOCUMENTS = 2000

_THREADS = 1
"""More would be little faster on matrices this small, and many times slower where other work keeps the cores busy; and
sums that are split among threads round differently, so bytes would depend on the number of cores."""


def train_base(folder: Path, settings: ZooSettings, track: Track) -> None:
    """Train a new model on all four miniatures at once."""
    tokenizer = train_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = LlamaForCausalLM(_architecture(tokenizer))
    _fit(model, tokenizer, list(MINIATURES.values()), "base", settings, track)
    _save(model, tokenizer, folder)


def train_expert(name: str, folder: Path, settings: ZooSettings, base: Path, track: Track) -> None:
    """Train the base further on one miniature."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    model = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
    _fit(model, tokenizer, [MINIATURES[name]], name, settings, track)
    _save(model, tokenizer, folder)


def _architecture(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=344,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,  # room for the real benchmarks, which want 1024 new tokens
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )


def _fit(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    miniatures: list[Miniature],
    name: str,
    settings: ZooSettings,
    track: Track,
) -> None:
    """AdamW with a linear warm-up and a cosine to zero; a step's problems are spread evenly over the miniatures."""
    if name == "base":
        steps, rate, problems = settings.base_steps, _BASE_RATE, _BASE_PROBLEMS
    else:
        steps, rate, problems = settings.expert_steps, _EXPERT_RATE, _EXPERT_PROBLEMS
    generator = torch.Generator().manual_seed(crc32(f"{settings.seed} {name}".encode()))
    samplers = [Sampler(m, tokenizer, m.documents("train", _TRAIN_DOCUMENTS, settings.seed)) for m in miniatures]
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    model.train()
    with _threads(_THREADS):
        for _ in track(range(steps), f"training {name}"):
            optimizer.zero_grad()
            for sampler in samplers:
                samples = [sampler.sample(generator) for _ in range(sampler.samples_for(problems))]
                ids, labels = batch(samples, tokenizer.pad_token_id)
                loss = model(input_ids=ids, labels=labels, use_cache=False).loss
                (loss / len(samplers)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    model.eval()


def _rate(step: int, steps: int) -> float:
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with that many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.generation_config.do_sample = False
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
