"""What is good to know of an expert before a merge, and stops none."""

from collections import Counter
from collections.abc import Iterator

from wudi.alignment import Policy
from wudi.experts import ExpertOutline
from wudi.folder import read_json
from wudi.outline import Outline
from wudi.preflight.configs import config_notes
from wudi.preflight.findings import Finding
from wudi.preflight.quantised import in_words, quantisation, quantised
from wudi.preflight.tensors import missing
from wudi.preflight.vocabulary import vocabulary_notes
from wudi.tied_heads import alias_of, copies

SOURCE = "source.json"


def expert_notes(base: Outline, expert: ExpertOutline, vocabulary: Policy) -> Iterator[Finding]:
    """Each note of one expert.

    Raises:
        WudiError: A config.json is damaged.
    """
    texts = adapter_notes(base, expert) if expert.outline.is_adapter else model_notes(base, expert, vocabulary)
    for text in texts:
        yield Finding(expert.name, text)


def model_notes(base: Outline, expert: ExpertOutline, vocabulary: Policy) -> Iterator[str]:
    """What differs between the base and an expert that holds every tensor."""
    if expert.is_task_vector:
        return
    own = expert.outline
    yield from vocabulary_notes(base, own, vocabulary)
    if base.config.get("model_type") == own.config.get("model_type"):
        yield from head_notes(base, expert)
        yield from config_notes(base, own)
    theirs, ours = main_dtype(own), main_dtype(base)
    if theirs != ours:
        yield f"its weights are {theirs}, the base's {ours}"
    settings = quantisation(own)
    if settings and not quantised(own):
        yield f"its config.json names a quantisation ({in_words(settings)}), but its weights are not quantised"


def head_notes(base: Outline, expert: ExpertOutline) -> Iterator[str]:
    """Heads that one stores and the other ties to its embedding."""
    for name, source in copies(expert.outline, base).items():
        yield f"stores {name} and the base does not, which ties it: it must be equal to its {source}"
    if not missing(base, expert):
        for name in sorted(base.tensors.keys() - expert.outline.tensors.keys()):
            alias = alias_of(name, expert.outline, base)
            if alias is not None:
                yield f"stores no {name}, which is tied: its {alias} stands for it"


def main_dtype(outline: Outline) -> str:
    """The dtype of most numbers."""
    counts = Counter[str]()
    for info in outline.tensors.values():
        counts[info.dtype] += info.elements
    return counts.most_common(1)[0][0] if counts else "none"


def adapter_notes(base: Outline, expert: ExpertOutline) -> Iterator[str]:
    """That an adapter names another model than the base as the one that it was trained on."""
    named = expert.layout and expert.layout.settings.trained_on
    if named and last_part(named) not in names_of(base):
        yield (
            f"is an adapter that was trained on {named}, the base is {base.where}; it fits where these have the same "
            "weights"
        )


def names_of(base: Outline) -> set[str]:
    """What the base is called: its folder's name, and what its config and the record of its fetch say."""
    names = {base.where, str(base.config.get("_name_or_path") or "")}
    if SOURCE in base.files.sizes:
        names.add(str(read_json(base.files, SOURCE).get("source") or ""))
    return {last_part(name) for name in names}


def last_part(name: str) -> str:
    """A repository's or a folder's own name, without its owner and revision."""
    return name.partition("@")[0].rstrip("/").rpartition("/")[2].casefold()
