"""WUDI's solvers on one layer, beside the published algorithm and beside what the machine can do at best."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.floor import Floor
from benchmarks.timing import Work, in_turn, in_words
from wudi import Layer, Recipe
from wudi.low_rank import LowRank

STEPS = 300
LEARNING_RATE = 1e-5
LARGEST = 4e11
"""Operations of one published step beyond which a shape is left out unless all are asked for."""
BUDGET = 1e12
"""Operations that a timed call may take; its steps all cost the same, so a few stand for 300."""


@dataclass(frozen=True)
class Shape:
    """A linear layer: how often a Llama block has it, and in which model."""

    model: str
    layers: str
    out: int
    width: int
    count: int = 1

    def __str__(self) -> str:
        return f"{self.model} {self.layers}, {self.out} × {self.width}"


ASKED = [
    Shape("", "square", 768, 768),
    Shape("", "tall", 3072, 768),
    Shape("", "wide", 768, 3072),
]


def llama(model: str, hidden: int, key_value: int, intermediate: int) -> list[Shape]:
    """The linear layers of one block."""
    return [
        Shape(model, "q, o", hidden, hidden, 2),
        Shape(model, "k, v", key_value, hidden, 2),
        Shape(model, "gate, up", intermediate, hidden, 2),
        Shape(model, "down", hidden, intermediate),
    ]


MODELS = {
    "0.5B": llama("0.5B", 896, 128, 4864),
    "1B": llama("1B", 2048, 512, 8192),
    "3B": llama("3B", 3072, 1024, 8192),
    "8B": llama("8B", 4096, 1024, 14336),
}


SMALLEST = "0.5B"


def published(deltas: Sequence[Tensor], steps: int) -> Tensor:
    """The loss as the paper writes it, Σᵢ ‖(τ − τᵢ)τᵢᵀ‖² / ‖τᵢ‖², descended through autograd with Adam."""
    stacked = torch.stack(tuple(deltas))
    merged = stacked.sum(dim=0).requires_grad_()
    optimizer = torch.optim.Adam([merged], lr=LEARNING_RATE)
    norms = stacked.square().sum(dim=(1, 2))
    for _ in range(steps):
        optimizer.zero_grad()
        products = (merged - stacked) @ stacked.transpose(1, 2)
        (products.square() / norms[:, None, None]).sum().backward()
        optimizer.step()
    return merged.detach()


def task_vectors(shape: Shape, experts: int, device: torch.device) -> list[Tensor]:
    """Random task vectors of a usual size."""
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(shape.out, shape.width, generator=generator) * 1e-3).to(device) for _ in range(experts)]


def solve(deltas: Sequence[Tensor | LowRank], **recipe: object) -> Tensor:
    """A recipe on one layer."""
    return Recipe.parse(recipe).merge(Layer(deltas=deltas)).delta


def descent(shape: Shape, experts: int, device: torch.device, floor: Floor) -> tuple[dict[str, str], float, float]:
    """A row on WUDI's 300 steps, and the seconds of the published form and of ours."""
    deltas = task_vectors(shape, experts, device)
    wudi = {"method": "wudi", "learning_rate": LEARNING_RATE}
    few = steps_within(published_operations(shape, experts), 6)
    theirs = published(deltas, few)
    ours = solve(deltas, **wudi, iterations=few)
    # Each step costs the same, so few of the published ones are timed; of ours few steps and none, which has what a
    # solver does once.
    some = steps_within(step_operations(shape, experts), 60)
    times = in_turn(
        {
            "theirs": lambda: published(deltas, few),
            "once": lambda: solve(deltas, **wudi, iterations=0),
            "ours": lambda: solve(deltas, **wudi, iterations=some),
        },
        device,
    )
    mine = times["once"] + (times["ours"] - times["once"]) * STEPS / some
    published_seconds = times["theirs"] * STEPS / few
    start = torch.stack(deltas).sum(dim=0)
    difference = float((ours - theirs).norm() / (theirs - start).norm())
    row = {
        "layer (out × in)": str(shape).strip(),
        "experts": str(experts),
        "published form": in_words(published_seconds),
        "this project": in_words(mine),
        "ratio": f"{published_seconds / mine:.1f} ×",
        "floor": in_words(wudi_operations(shape, experts) / floor.operations),
        "difference": f"{difference:.0e}",
    }
    return row, published_seconds, mine


def published_operations(shape: Shape, experts: int) -> float:
    """Of one step: a product of out × in × out an expert forwards, and one backwards."""
    return 2.0 * experts * 2 * shape.out**2 * shape.width


def step_operations(shape: Shape, experts: int) -> float:
    """Of one step of ours, by the cheaper of the two forms."""
    return 2.0 * shape.out * shape.width * min(shape.width, 2 * experts * shape.out)


def wudi_operations(shape: Shape, experts: int) -> float:
    """Of 300 steps and of what comes once."""
    return STEPS * step_operations(shape, experts) + 4.0 * experts * shape.out * shape.width**2


def steps_within(operations: float, most: int) -> int:
    """How many steps of so many operations are timed."""
    return min(max(2, int(BUDGET / operations)), most)


def layers(experts: Sequence[int], everything: bool) -> list[tuple[Shape, int]]:
    """The shapes that are measured: of the larger models with four experts alone, unless all are asked for."""
    shapes = [(shape, 8) for shape in ASKED]
    for model, of_model in MODELS.items():
        counts = experts if everything or model == SMALLEST else (4,)
        shapes += [(shape, count) for count in counts for shape in of_model]
    return [(s, count) for s, count in shapes if everything or published_operations(s, count) < LARGEST]


def block(model: str, experts: int, rows: dict[tuple[Shape, int], tuple[float, float]]) -> dict[str, str] | None:
    """A row on a whole Llama block, from those on its layers; None where one was left out."""
    found = [(rows.get((shape, experts)), shape.count) for shape in MODELS[model]]
    times = [(row[0] * count, row[1] * count) for row, count in found if row is not None]
    if len(times) < len(found):
        return None
    theirs, ours = sum(row[0] for row in times), sum(row[1] for row in times)
    return {
        "block of": f"{model}",
        "experts": str(experts),
        "published form": in_words(theirs),
        "this project": in_words(ours),
        "ratio": f"{theirs / ours:.1f} ×",
    }


CLOSED = [*ASKED, Shape("", "square", 2048, 2048)]


def closed_form(shape: Shape, device: torch.device, floor: Floor) -> dict[str, str]:
    """A row on the closed forms, four experts: seconds, and how many times faster than 300 steps."""
    deltas = task_vectors(shape, 4, device)
    wudi = {"method": "wudi", "learning_rate": LEARNING_RATE}
    recipes = {
        "wudi_flow": {"method": "wudi_flow"},
        "by doubling": {"method": "wudi_flow", "products": "doubling"},
        "by Chebyshev": {"method": "wudi_flow", "products": "chebyshev"},
        "swudi (eigh)": {"method": "swudi"},
    }
    rivals: dict[str, Work] = {name: partial(solve, deltas, **recipe) for name, recipe in recipes.items()}
    rivals["once"] = partial(solve, deltas, **wudi, iterations=0)
    rivals["some"] = partial(solve, deltas, **wudi, iterations=20)
    for work in rivals.values():
        work()  # the first calls load libraries
    times = in_turn(rivals, device)
    once, some = times.pop("once"), times.pop("some")
    steps = once + (some - once) * STEPS / 20
    return {
        "layer (out × in)": f"{shape.out} × {shape.width}",
        "wudi, 300 steps": in_words(steps),
        **{name: in_words(found) for name, found in times.items()},
        "floor of one product": in_words(2.0 * shape.out * shape.width**2 / floor.operations),
        "wudi / wudi_flow": f"{steps / times['wudi_flow']:.0f} ×",
        "wudi / swudi": f"{steps / times['swudi (eigh)']:.0f} ×",
    }


def low_rank(device: torch.device, floor: Floor, side: int = 4096, rank: int = 16, experts: int = 4) -> dict[str, str]:
    """A row on LoRA experts: 300 steps on factors, and on the same task vectors as whole matrices."""
    generator = torch.Generator().manual_seed(0)
    thin = [
        LowRank(
            (torch.randn(side, rank, generator=generator) * 0.02).to(device),
            (torch.randn(rank, side, generator=generator) * 0.02).to(device),
        )
        for _ in range(experts)
    ]
    whole = [delta.dense() for delta in thin]
    wudi = {"method": "wudi", "learning_rate": LEARNING_RATE}
    times = in_turn(
        {
            "once": lambda: solve(whole, **wudi, iterations=0),
            "dense": lambda: solve(whole, **wudi, iterations=4),
            "factors": lambda: solve(thin, **wudi, iterations=STEPS // 5),
            "factors once": lambda: solve(thin, **wudi, iterations=0),
            "dense flow": lambda: solve(whole, method="wudi_flow"),
            "factors flow": lambda: solve(thin, method="wudi_flow"),
        },
        device,
    )
    dense_seconds = times["once"] + (times["dense"] - times["once"]) * STEPS / 4
    factor_seconds = times["factors once"] + (times["factors"] - times["factors once"]) * 5
    return {
        "experts": f"{experts} of rank {rank}, {side} × {side}",
        "wudi, dense": in_words(dense_seconds),
        "wudi, factors": in_words(factor_seconds),
        "floor": in_words(STEPS * 2.0 * 2 * side * side * rank * experts / floor.operations),
        "ratio": f"{dense_seconds / factor_seconds:.0f} ×",
        "wudi_flow, dense": in_words(times["dense flow"]),
        "wudi_flow, factors": in_words(times["factors flow"]),
        "ratio of wudi_flow": f"{times['dense flow'] / times['factors flow']:.0f} ×",
    }
