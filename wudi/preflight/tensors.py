"""Whether an expert has the base's tensors: their names, shapes and kinds of numbers, and why not."""

from collections.abc import Iterator, Mapping

from wudi.architecture import roles
from wudi.experts import LEFT, RIGHT, ExpertOutline
from wudi.fit import NEW_ROWS
from wudi.outline import Outline
from wudi.preflight.buffers import is_computed
from wudi.preflight.configs import WIDTHS, differing
from wudi.preflight.findings import shown
from wudi.preflight.structure import height_texts, is_above, other_heights
from wudi.preflight.vocabulary import other_rows
from wudi.tensor_info import TensorInfo
from wudi.tied_heads import alias_of, copies

Infos = Mapping[str, TensorInfo]


def adapter_clashes(base: Outline, expert: ExpertOutline) -> list[str]:
    """What keeps an adapter from being added to the base.

    Raises:
        WudiError: It is an adapter of another kind, or the base's class cannot be built from its config.json.
    """
    if expert.layout is None:
        return []
    return shown(expert.layout.clashes(base, {name: role.transposed for name, role in roles(base).items()}))


def tensor_clashes(base: Outline, expert: ExpertOutline) -> Iterator[str]:
    """What keeps the tensors of a checkpoint or a task vector from being merged, but for other numbers of tokens.

    Raises:
        WudiError: config.json names a known class, which cannot be built from it.
    """
    own = with_products(expert.outline.tensors) if expert.is_factored else expert.outline.tensors
    heights = other_heights(base.tensors, own)
    yield from height_texts(heights)
    rows = {} if expert.is_task_vector else other_rows(base, expert.outline)
    shapes = [
        f"tensor {name} has shape {list(own[name].shape)}, the base's has {list(info.shape)}"
        for name, info in base.tensors.items()
        if name in own and own[name].shape != info.shape and name not in rows
    ]
    if shapes:
        widths = differing(base, expert.outline, WIDTHS).items()
        yield from (f"its {key} is {theirs}, the base's {ours}" for key, (theirs, ours) in widths)
    yield from shown(shapes)
    yield from shown(other_numbers(base.tensors, own))
    yield from shown(f"misses tensor {name}" for name in missing(base, expert) if not is_above(name, heights))
    yield from shown(
        f"has tensor {name}, which the base has not" for name in extra(base, expert, own) if not is_above(name, heights)
    )


def other_numbers(base: Infos, own: Infos) -> Iterator[str]:
    """Tensors that hold floating numbers here and whole ones there."""
    for name, info in base.items():
        if name in own and own[name].floating != info.floating:
            yield f"tensor {name} is {own[name].dtype}, the base's is {info.dtype}"


def missing(base: Outline, expert: ExpertOutline) -> list[str]:
    """The base's weights of which an expert has no value; buffers are the base's anyway."""
    if expert.is_factored:
        return []
    names = [name for name, info in base.tensors.items() if info.floating and name not in expert.outline.tensors]
    names = [name for name in names if not is_computed(name, base.tensors[name])]
    return [name for name in names if expert.is_task_vector or alias_of(name, expert.outline, base) is None]


def extra(base: Outline, expert: ExpertOutline, own: Infos) -> list[str]:
    """The expert's tensors that the base has no place for; buffers, and copies that the base ties, need none."""
    names = [name for name, info in own.items() if name not in base.tensors and not is_computed(name, info)]
    if expert.is_task_vector:
        names = [name for name in names if name.removesuffix(NEW_ROWS) not in base.tensors]
    if not names or expert.is_factored or expert.is_task_vector:
        return names
    tied = copies(expert.outline, base)
    return [name for name in names if name not in tied]


def with_products(infos: Infos) -> dict[str, TensorInfo]:
    """The tensors of a factored task vector, each pair of factors replaced by their product."""
    whole = dict(infos)
    for name, left in infos.items():
        right = infos.get(name.removesuffix(LEFT) + RIGHT)
        if name.endswith(LEFT) and right is not None and left.shape[1:] == right.shape[:1]:
            del whole[name], whole[name.removesuffix(LEFT) + RIGHT]
            whole[name.removesuffix(LEFT)] = TensorInfo(left.dtype, (left.shape[0], *right.shape[1:]))
    return whole
