"""Compare experts with their base by what is known without reading a weight."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from wudi.alignment import Policy
from wudi.experts import TASK_VECTOR, ExpertOutline
from wudi.outline import Outline
from wudi.preflight.findings import FAMILY, Finding, Findings, collected
from wudi.preflight.notes import expert_notes
from wudi.preflight.quantised import quantised
from wudi.preflight.structure import other_prefix
from wudi.preflight.tensors import adapter_clashes, tensor_clashes
from wudi.preflight.vocabulary import vocabulary_clashes


def examine(base: Outline, experts: Sequence[ExpertOutline], vocabulary: Policy = "error") -> Findings:
    """Every problem of a base and all its experts, and notes on the experts that have none.

    Raises:
        Unreachable: A model elsewhere answers no more.
    """
    problems = [Finding(None, text) for text in base_problems(base)]
    sound = not problems
    for expert in experts:
        problems += collected(expert.name, expert_problems(base, expert, vocabulary) if sound else own_problems(expert))
    problems += named_twice(base, experts)
    unfit = {finding.expert for finding in problems}
    fit = [expert for expert in experts if sound and expert.name not in unfit]
    notes = [note for expert in fit for note in collected(expert.name, expert_notes(base, expert, vocabulary))]
    return Findings(tuple(problems), tuple(notes))


def base_problems(base: Outline) -> Iterator[str]:
    """Why the base holds something else than weights that can be added to."""
    if base.is_adapter:
        yield "is a PEFT adapter; name the model that it was trained on"
    elif base.metadata.get("content") == TASK_VECTOR:
        yield "is a task vector; name the base model first, then the experts"
    elif text := quantised(base):
        yield text


def own_problems(expert: ExpertOutline) -> Iterator[Finding]:
    """What is wrong with an expert, whatever its base is.

    Raises:
        WudiError: It is an adapter of another kind than plain LoRA.
    """
    if expert.layout is None and (text := quantised(expert.outline)):
        yield Finding(expert.name, text)


def expert_problems(base: Outline, expert: ExpertOutline, vocabulary: Policy) -> Iterator[Finding]:
    """What keeps one expert from being merged into the base.

    Raises:
        WudiError: It is an adapter of another kind, or a config.json is damaged.
    """
    if expert.layout is not None:
        texts: Iterable[str] = adapter_clashes(base, expert)
    elif own := list(own_problems(expert)):
        yield from own
        return
    elif expert.is_task_vector:
        texts = tensor_clashes(base, expert)
    elif text := other_prefix(base, expert.outline) or other_architecture(base, expert.outline):
        texts = [text]
    else:
        yield from (Finding(expert.name, text) for text in vocabulary_clashes(base, expert.outline, vocabulary))
        texts = tensor_clashes(base, expert)
    yield from (Finding(expert.name, text, FAMILY) for text in texts)


def other_architecture(base: Outline, expert: Outline) -> str | None:
    """That two configs name different architectures."""
    theirs, ours = expert.config.get("model_type"), base.config.get("model_type")
    return f"its architecture is {theirs}, the base's is {ours}" if ours and theirs and ours != theirs else None


def named_twice(base: Outline, experts: Sequence[ExpertOutline]) -> Iterator[Finding]:
    """Experts that are the base or one another by their places already."""
    for expert in experts:
        if expert.outline.where == base.where:
            yield Finding(expert.name, f"is the base ({base.where}); name a checkpoint that was fine-tuned from it")
    for first, second in combinations(experts, 2):
        if first.outline.where == second.outline.where:
            where = second.outline.where
            yield Finding(second.name, f"is {first.name} once more ({where}); name each checkpoint once")
