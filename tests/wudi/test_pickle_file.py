"""Reading pickles without running them: what is understood, and what is refused."""

import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.conftest import random_tensors
from tests.wudi.merges import all_tensors, nothing_written
from tests.wudi.pickles import EMBEDDING, HEAD, converted, folder_of, one_file, same
from wudi import WudiError
from wudi.cli import main
from wudi.convert import convert


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (torch.zeros(2, dtype=torch.complex64), r"tensor w is torch\.complex64; takes float64, .*bool"),
        (torch.eye(2).to_sparse(), r"tensor w is of the kind Tensor, torch\.sparse_coo; takes dense"),
        (torch.empty(2, device="meta"), "tensor w is without values"),
    ],
)
def test_tensors_that_cannot_be_written(tensor: Tensor, says: str, tmp_path: Path) -> None:
    with pytest.raises(WudiError, match=says):
        convert(one_file(tmp_path / "model.bin", {"w": tensor}), tmp_path / "out")
    assert nothing_written(tmp_path / "out")


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_the_state_of_a_training_program_is_left_out_with_a_word(key: str, tmp_path: Path) -> None:
    tensors = {name: tensor.clone() for name, tensor in random_tensors(0).items()}
    optimizer = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}
    state = OrderedDict({**tensors, "step": 3, "version": "a", "extra": None})
    lines: list[str] = []
    path = one_file(tmp_path / "last.pth", {"epoch": 1, key: state, "optimizer": optimizer})
    assert same(all_tensors(convert(path, tmp_path / "out", say=lines.append).out), tensors)
    assert lines == ["last.pth: left out what is no tensor of the state dict: epoch, optimizer, extra, step, version"]


def holding_itself() -> dict[str, Any]:
    content: dict[str, Any] = {"model": {}}
    content["model"]["again"] = content
    return content


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"epoch": 3, "args": {}}, "has no tensors, neither directly nor under state_dict or model; holds epoch, args"),
        ({}, "holds nothing"),
        (holding_itself(), "has no tensors"),
        (torch.ones(2), "holds a Tensor, not a state dict"),
        ([torch.ones(2)], "holds a list, not a state dict"),
        ({"w": torch.ones(2), "optimizer": {"state": [torch.ones(2)]}}, "entry optimizer is a dict with tensors in it"),
        ({"model": {"layers": {"w": torch.ones(2)}}}, "entry layers is a dict with tensors in it"),
        ({3: torch.ones(2)}, "has the name 3, which safetensors cannot hold"),
        ({"__metadata__": torch.ones(2)}, "has the name '__metadata__'"),
        ({"\ud800": torch.ones(2)}, r"has the name '\\ud800'"),
    ],
)
def test_what_is_no_state_dict(content: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(WudiError, match=says):
        convert(one_file(tmp_path / "model.bin", content), tmp_path / "out")
    assert nothing_written(tmp_path / "out")


class Hostile:
    """Creates a file when it is read."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.reduced = (call, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


def as_zip(content: Any, file: Path) -> None:
    torch.save(content, file)


def as_legacy(content: Any, file: Path) -> None:
    torch.save(content, file, _use_new_zipfile_serialization=False)


def as_bare_pickle(content: Any, file: Path) -> None:
    file.write_bytes(pickle.dumps(content, protocol=2))


def as_modern_pickle(content: Any, file: Path) -> None:
    file.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("write", [as_zip, as_legacy, as_bare_pickle, as_modern_pickle])
@pytest.mark.parametrize("call", ["open", "system", "eval", "mkdir"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not(
    call: str, write: Callable[[Any, Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace"
    calls = {
        "open": (open, str(trace), "w"),
        "system": (os.system, f"touch {trace}"),
        "eval": (eval, f"__import__('pathlib').Path({str(trace)!r}).touch()"),
        "mkdir": (os.mkdir, str(trace)),
    }
    file = tmp_path / "pytorch_model.bin"
    write({"w": torch.ones(2), "x": Hostile(*calls[call])}, file)
    with pytest.raises(SystemExit) as caught:
        main(["convert", str(file), "--out", str(tmp_path / "out")])
    message = str(caught.value)
    assert str(file) in message and "nothing in it was run" in message and "weights_only" not in message, message
    if write in (as_zip, as_legacy):
        assert call in message and "torch.save(model.state_dict(), FILE)" in message, message
    assert "Traceback" not in capsys.readouterr().err
    assert nothing_written(tmp_path / "out") and not trace.exists()
    torch.load(file, weights_only=False) if write is as_zip else pickle.loads(pickle.dumps(Hostile(*calls[call])))
    assert trace.exists()  # it was a pickle that does what it is feared for


def test_a_pickled_model_object_is_refused_by_the_name_of_its_class(tmp_path: Path) -> None:
    with pytest.raises(WudiError, match=r"calls for torch\.nn\.modules\.linear\.Linear"):
        convert(one_file(tmp_path / "model.pt", nn.Linear(2, 2)), tmp_path / "out")


def test_one_bad_shard_is_found_before_any_is_converted(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", random_tensors(0), shards=3)
    torch.save({"w": Hostile(print, "run")}, source / "pytorch_model-00003-of-00003.bin")
    with pytest.raises(WudiError, match=r"00003-of-00003\.bin: is a pickle that calls for print"):
        convert(source, tmp_path / "out")
    assert nothing_written(tmp_path / "out")


@pytest.mark.parametrize("ties", [False, True])
def test_the_format_of_before_zip(ties: bool, tmp_path: Path) -> None:
    tensors = {**random_tensors(0), "half": torch.ones(4).bfloat16()[1:]}
    tensors[HEAD] = tensors[EMBEDDING]
    source = folder_of(tmp_path / "source", tensors, ties=ties)
    as_legacy(tensors, source / "pytorch_model.bin")
    assert not zipfile.is_zipfile(source / "pytorch_model.bin")
    found = converted(source, tmp_path / "out")
    assert same(found, {name: tensor for name, tensor in tensors.items() if name != HEAD or not ties})


def test_a_zip_that_someone_compressed(tmp_path: Path) -> None:
    tensors = random_tensors(0)
    plain = one_file(tmp_path / "plain.bin", tensors)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(tmp_path / "small.bin", "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, old.read(part))
    assert same(converted(tmp_path / "small.bin", tmp_path / "out"), tensors)


@pytest.mark.parametrize("write", [as_zip, as_legacy])
@pytest.mark.parametrize("keep", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files(keep: float, write: Callable[[Any, Path], None], tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    write(random_tensors(0), file)
    file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
    with pytest.raises(WudiError, match=rf"{file}: not a .*[Ff]etch it again"):
        convert(file, tmp_path / "out")
    assert nothing_written(tmp_path / "out")


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\0" * 100, b"PK\x03\x04" + b"\0" * 100, b"x"])
def test_what_is_no_pickle(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(WudiError, match=r"model\.bin: not a .*[Ff]etch it again"):
        convert(tmp_path / "model.bin", tmp_path / "out")


def test_a_pointer_in_the_place_of_the_weights(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    with pytest.raises(WudiError, match="Git LFS pointer"):
        convert(tmp_path / "model.bin", tmp_path / "out")
