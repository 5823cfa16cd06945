"""How tensors' names lie to the base's as a whole: stacks of other heights, and names with a prefix more or less."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain

from wudi.outline import Outline


def stacks(names: Iterable[str]) -> dict[str, int]:
    """The height of each stack of blocks: 32 for `model.layers` where `model.layers.31` is the last.

    A block counts where it has half as many tensors at least as the one with most: a stray tensor is no block.
    """
    sizes: dict[str, Counter[int]] = {}
    for stack, number in filter(None, map(block, names)):
        sizes.setdefault(stack, Counter())[number] += 1
    whole = {stack: [number for number in of if 2 * of[number] >= max(of.values())] for stack, of in sizes.items()}
    return {stack: max(numbers) + 1 for stack, numbers in whole.items()}


def block(name: str) -> tuple[str, int] | None:
    """The stack and the number of a tensor's block; None for a tensor outside of all."""
    parts = name.split(".")
    place = next((place for place, part in enumerate(parts) if part.isdecimal()), None)
    return None if place is None else (".".join(parts[:place]), int(parts[place]))


def other_heights(base: Iterable[str], expert: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The stacks that both have and that differ: the expert's number of blocks and the base's."""
    ours, theirs = stacks(base), stacks(expert)
    return {stack: (theirs[stack], height) for stack, height in ours.items() if theirs.get(stack, height) != height}


def is_above(name: str, heights: Mapping[str, tuple[int, int]]) -> bool:
    """Whether a tensor is of a block that only the higher one of two stacks has."""
    place = block(name)
    return place is not None and place[0] in heights and place[1] >= min(heights[place[0]])


def height_texts(heights: Mapping[str, tuple[int, int]]) -> list[str]:
    """The numbers of blocks in words; which stack it is where there may be several."""
    return [
        f"has {theirs} layer{'' if theirs == 1 else 's'}, the base {ours}"
        + (f" (in {stack})" if len(heights) > 1 else "")
        for stack, (theirs, ours) in heights.items()
    ]


def other_prefix(base: Outline, expert: Outline) -> str | None:
    """That an expert's tensors are the base's under longer or shorter names; None where most names agree."""
    ours, theirs = set(base.tensors), set(expert.tensors)
    if 2 * len(ours & theirs) >= min(len(ours), len(theirs)):
        return None
    shorter, longer = start_before(theirs, ours), start_before(ours, theirs)
    half = min(len(ours), len(theirs)) / 2
    if shorter[1] > half:
        example = next(name for name in sorted(theirs) if shorter[0] + name in ours)
        return (
            f"names its tensors without the base's `{shorter[0]}` ({example} for {shorter[0]}{example})"
            f"{saved_as(expert)}; save it as {architecture(base) or 'the class of the base'}, with its head"
        )
    if longer[1] > half:
        example = next(name for name in sorted(ours) if longer[0] + name in theirs)
        return (
            f"has the base's tensors under `{longer[0]}` ({longer[0]}{example} for {example}){saved_as(expert)}; "
            f"save that part of it alone, as {architecture(base) or 'the class of the base'}"
        )
    return None


def start_before(names: set[str], whole: set[str]) -> tuple[str, int]:
    """What most often stands before one of `names` in `whole`, and how often it does."""
    ends = chain.from_iterable(tails(name) for name in whole)
    counts = Counter(start for start, tail in ends if tail in names)
    return counts.most_common(1)[0] if counts else ("", 0)


def tails(name: str) -> Iterable[tuple[str, str]]:
    """Every way to part a name after one of its dots."""
    cuts = [position + 1 for position, letter in enumerate(name) if letter == "."]
    return ((name[:cut], name[cut:]) for cut in cuts)


def architecture(outline: Outline) -> str | None:
    """The class that config.json names."""
    found = outline.config.get("architectures")
    return str(found[0]) if isinstance(found, list) and found else None


def saved_as(outline: Outline) -> str:
    """The class that wrote a checkpoint, as a part of a sentence."""
    name = architecture(outline)
    return f", as {name} does" if name else ""
