"""Turn a checkpoint of pickles into safetensors, shard by shard, without running anything that is in them."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from wudi.errors import WudiError
from wudi.hashes import file_sha256
from wudi.model_folder import copy_companions, write_index
from wudi.pickle_file import StateDict, cause, info_of, read_pickle, same_storage
from wudi.pickle_folder import PickleFolder, listed, pickle_folder
from wudi.preflight import check_disk
from wudi.progress import Say, Track, mute, silent
from wudi.roles_by_class import known_model
from wudi.safetensors_writer import write_safetensors
from wudi.tensor_info import BITS, TensorInfo
from wudi.work_folder import WorkFolder

README = "README.md"


@dataclass(frozen=True)
class ConvertReport:
    """What a conversion gave: the folder, and its tensors' dtypes and shapes in each of its files."""

    out: Path
    shards: dict[str, dict[str, TensorInfo]]

    @property
    def bytes(self) -> int:
        """The size of all tensors."""
        return sum(info.bytes for infos in self.shards.values() for info in infos.values())


def convert(path: Path, out: Path, *, track: Track = silent, say: Say = mute) -> ConvertReport:
    """Write the pickles of `path` to `out` as safetensors, and what lies beside them as it is.

    Every pickle is looked at before the first is converted; one at a time is open. Each output file is read again and
    compared with its pickle. A run that was interrupted leaves `out.partial`; the next one with the same input goes on
    at the first missing shard. Tensors that are one in the file and in the model are written once, as transformers
    does; others that share memory are written whole, each for itself.

    Raises:
        WudiError: `path` has no pickles to convert, or one that is damaged, that asks for code to be run, or that
            differs from the index; `out` exists; no room on the disk.
    """
    source = pickle_folder(path)
    refuse_existing(source, out)
    shards = {shard: survey(source, file, say) for shard, file in source.files.items()}
    with WorkFolder(out, plan(source, shards), inputs=[source.path]) as work:
        write_missing(work, source, shards, track)
        if source.folder is not None:
            copy_companions(source.folder, work.path, None)
            if (source.folder / README).is_file():  # which a merge writes anew, but here still tells of the same model
                shutil.copyfile(source.folder / README, work.path / README)
        if source.is_sharded:
            every = {name: info for infos in shards.values() for name, info in infos.items()}
            write_index(work, {shard: list(infos) for shard, infos in shards.items()}, every)
        work.finish([proof(shard) for shard in shards])
    return ConvertReport(work.out, shards)


def refuse_existing(source: PickleFolder, out: Path) -> None:
    """Raise a `WudiError` where `out` is there already: nothing is ever replaced."""
    if source.path.resolve().is_relative_to(out.resolve()):
        raise WudiError(f"{out}: is or holds the input {source.path}; name another folder")
    if out.exists() or out.is_symlink():
        raise WudiError(f"{out}: exists already; name another folder, or remove it if it is not needed")


def plan(source: PickleFolder, shards: Mapping[str, Mapping[str, TensorInfo]]) -> dict[str, Any]:
    """What decides the output's bytes: an interrupted run is continued by one with the same plan alone."""
    pickles = {file.name: file_sha256(file) for file in source.files.values()}
    return {"pickles": pickles, "tensors": {shard: list(infos) for shard, infos in shards.items()}}


def survey(source: PickleFolder, file: Path, say: Say) -> dict[str, TensorInfo]:
    """What is to be written of one pickle, in the order in which it is: large elements first, so that all are aligned.

    Raises:
        WudiError: As `convert` does of its input.
    """
    state = read_pickle(file)
    source.check(file, state.tensors)
    if state.left_out:
        say(f"{file.name}: left out what is no tensor of the state dict: {listed(state.left_out)}")
    copies = tied(state, source.config)
    for copy, original in copies.items():
        say(f"{copy} is stored once, as {original}: the model ties them")
    infos = {name: info for name, info in state.infos.items() if name not in copies}
    return dict(sorted(infos.items(), key=lambda entry: (-BITS[entry[1].dtype], entry[0])))


def tied(state: StateDict, config: dict[str, Any]) -> dict[str, str]:
    """The tensors that are the same memory as another of which they are a copy by the model's definition."""
    if len({tensor.untyped_storage().data_ptr() for tensor in state.tensors.values()}) == len(state.tensors):
        return {}
    try:
        model = known_model(config)
    except WudiError:  # whoever loads the model will be told; both copies written out are right in any case
        return {}
    if model is None or config.get("tie_word_embeddings") is False:
        return {}
    stored = {model.own_name(name): name for name in state.tensors}
    pairs = {stored[alias]: stored.get(model.source(alias)) for alias in model.ties if alias in stored}
    return {
        copy: original
        for copy, original in pairs.items()
        if original not in (None, copy) and same_storage(state.tensors[copy], state.tensors[original])
    }


def write_missing(
    work: WorkFolder, source: PickleFolder, shards: Mapping[str, Mapping[str, TensorInfo]], track: Track
) -> None:
    """Convert the pickles that no earlier run has."""
    missing = {shard: infos for shard, infos in shards.items() if work.read_json(proof(shard)) is None}
    check_disk(work.out, sum(info.bytes for infos in missing.values() for info in infos.values()))
    pending = iter(track([name for infos in missing.values() for name in infos], "converting"))
    for shard, infos in missing.items():
        write_shard(work, shard, source.files[shard], infos, pending)
    next(pending, None)  # lets the bar come to its end


def write_shard(
    work: WorkFolder, shard: str, file: Path, infos: Mapping[str, TensorInfo], pending: Iterator[str]
) -> None:
    """Write one output file, prove it equal to its pickle, and mark it as done."""
    state = read_pickle(file)
    if any(state.infos.get(name) != info for name, info in infos.items()):
        raise WudiError(f"{file}: was changed while it was converted; run the same command again")
    tensors = {name: state.tensors[name] for name in infos}
    written = ((next(pending), tensor) for tensor in tensors.values())
    write_safetensors(work.path / shard, infos, written, {"format": "pt"})
    prove(work.path / shard, tensors)
    work.write_json(proof(shard), {"equal_to": file.name})


def prove(written: Path, tensors: Mapping[str, Tensor]) -> None:
    """Read a safetensors file again and compare every byte.

    Raises:
        WudiError: It does not hold these tensors.
    """
    try:
        with safe_open(written, framework="pt", device="cpu") as file:
            wrong = sorted(set(file.keys()) ^ set(tensors))
            wrong += [name for name in tensors if name not in wrong and not equal(file.get_tensor(name), tensors[name])]
    except (SafetensorError, OSError, RuntimeError) as error:
        raise WudiError(f"{written}: cannot be read as it was written ({cause(error)}); run it again") from None
    if wrong:
        raise WudiError(f"{written}: tensor {wrong[0]} is not what was written; check the disk, then run it again")


def equal(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are the same in dtype, shape and every bit, NaN's too."""
    return info_of(first) == info_of(second) and torch.equal(bits(first), bits(second))


def bits(tensor: Tensor) -> Tensor:
    """The bytes of a tensor."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def proof(shard: str) -> str:
    """The file beside a shard that says, while the conversion is under way, that it is proven equal to its pickle."""
    return f"{shard}.json"
