"""What can be checked before a weight is read: that experts fit the base, and that the disk has room."""

from collections.abc import Sequence
from itertools import combinations

from wudi.alignment import Policy
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.experts import Expert
from wudi.preflight.disk import check_disk, lacking_room
from wudi.preflight.examine import base_problems, examine
from wudi.preflight.findings import Finding, Findings, lines
from wudi.same_content import same_content
from wudi.tied_heads import untied

__all__ = [
    "Finding",
    "Findings",
    "check_base",
    "check_disk",
    "check_experts",
    "equals_base",
    "examine",
    "lacking_room",
    "lines",
]


def check_experts(base: Checkpoint, experts: Sequence[Expert], vocabulary: Policy = "error") -> None:
    """Compare every expert with the base: headers, and values where only these tell.

    Other numbers of tokens are a problem where `vocabulary` is `error`; else they are aligned later.

    Raises:
        WudiError: Some expert has another architecture, or misses tensors, has more, or has other shapes, or unties
            its head; it is the base, or another expert once more: all problems of all experts, each with both values.
    """
    if not experts:
        raise WudiError("no experts given; a merge takes at least one")
    findings = examine(base, experts, vocabulary)
    unfit = {finding.expert for finding in findings.problems}
    sound = [expert for expert in experts if None not in unfit and expert.name not in unfit]
    by_values = [Finding(expert.name, text) for expert in sound for text in value_problems(base, expert)]
    twins = [Finding(second.name, text) for second, text in same_files(sound)]
    where = {None: f"base ({base.path})", **{expert.name: f"expert {expert.name}" for expert in experts}}
    Findings((*findings.problems, *by_values, *twins)).refuse(where.__getitem__)


def value_problems(base: Checkpoint, expert: Expert) -> list[str]:
    """What is wrong with an expert whose headers fit."""
    if same_content(base, expert.checkpoint):
        return [equality(expert)]
    return [] if expert.is_factored or expert.is_task_vector else untied(expert.checkpoint, base)


def same_files(experts: Sequence[Expert]) -> list[tuple[Expert, str]]:
    """Experts that hold what an earlier one does."""
    return [
        (second, f"has the same files as {first.name}; name each checkpoint once")
        for first, second in combinations(experts, 2)
        if same_content(first.checkpoint, second.checkpoint)
    ]


def check_base(base: Checkpoint) -> None:
    """Raise a `WudiError` where the base holds something else than weights that can be added to."""
    for text in base_problems(base):
        raise WudiError(f"base ({base.path}): {text}")


def equals_base(experts: Sequence[Expert]) -> WudiError:
    """The error for experts that change no weight."""
    return WudiError("\n".join(f"expert {expert.name}: {equality(expert)}" for expert in experts))


def equality(expert: Expert) -> str:
    """That an expert changes no weight, and what to do."""
    return (
        f"every weight equals the base's ({expert.checkpoint.path}); "
        "name a checkpoint that was fine-tuned from the base"
    )
