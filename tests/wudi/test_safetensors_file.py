"""The reader of safetensors files: equal to the library on sound files, and an error on damaged ones."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from wudi.safetensors_file import DamagedFile, SafetensorsFile

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
WHOLE = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]

many = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def sound() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = {f"f{n}": torch.randn(3, n + 1, generator=generator).to(dtype) for n, dtype in enumerate(FLOATS)}
    tensors |= {f"i{n}": torch.arange(5 + n).to(dtype) for n, dtype in enumerate(WHOLE)}
    return tensors | {"empty": torch.zeros(0, 4), "scalar": torch.tensor(2.5), "ünïcode ✓": torch.ones(2)}


def encoded(header: Any, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def readable(file: Path) -> dict[str, torch.Tensor] | None:
    """What the library reads of a file; None where it refuses it."""
    try:
        with safe_open(file, "pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, AttributeError, ValueError, RuntimeError):
        return None


def equal(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    bits = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (ours, theirs)]
    return ours.dtype == theirs.dtype and ours.shape == theirs.shape and torch.equal(*bits)


def test_reads_what_the_library_writes(tmp_path: Path) -> None:
    save_file(sound(), tmp_path / "a.safetensors", {"format": "pt"})
    file = SafetensorsFile(tmp_path / "a.safetensors")
    assert file.header.metadata == {"format": "pt"}
    assert file.header.places.keys() == sound().keys()
    for name, tensor in sound().items():
        assert equal(file.tensor(name), tensor), name
        count = tensor.numel()
        for first, last in [(0, count), (count // 3, count // 2), (count, count)]:
            assert equal(file.entries(name, first, last), tensor.reshape(-1)[first:last]), name
        file.let_go(name)
        assert equal(file.tensor(name), tensor), name


def test_tensors_need_not_be_aligned(tmp_path: Path) -> None:
    values = torch.randn(7)
    header = {
        "odd": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
        "x": {"dtype": "F32", "shape": [7], "data_offsets": [3, 31]},
    }
    (tmp_path / "a.safetensors").write_bytes(encoded(header, b"abc" + values.numpy().tobytes()))
    assert torch.equal(SafetensorsFile(tmp_path / "a.safetensors").tensor("x"), values)


def test_what_is_written_into_a_tensor_stays_out_of_the_file(tmp_path: Path) -> None:
    save_file({"x": torch.ones(4)}, tmp_path / "a.safetensors")
    SafetensorsFile(tmp_path / "a.safetensors").tensor("x").zero_()
    assert torch.equal(load_file(tmp_path / "a.safetensors")["x"], torch.ones(4))


X = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "size", "says"),
    [
        ({"x": X}, 4, "describes"),
        ({"x": X}, 12, "describes"),
        ({"x": X, "y": {**X, "data_offsets": [4, 12]}}, 12, "tensor y begins at byte"),
        ({"x": X, "y": {**X, "data_offsets": [12, 20]}}, 20, "tensor y begins at byte"),
        ({"x": {**X, "shape": [3]}}, 8, "does not fit into 8 bytes"),
        ({"x": {**X, "shape": [-2]}}, 8, "whole numbers of at least 0"),
        ({"x": {**X, "shape": [2.0]}}, 8, "whole numbers of at least 0"),
        ({"x": {**X, "shape": [True, 2]}}, 8, "whole numbers of at least 0"),
        ({"x": {**X, "data_offsets": [8, 0]}}, 8, "does not fit into -8 bytes"),
        ({"x": {**X, "data_offsets": [0, 4, 8]}}, 8, "offsets"),
        ({"x": {**X, "dtype": "F31"}}, 8, "its dtype is 'F31'"),
        ({"x": {"dtype": "F32", "shape": [2]}}, 8, "takes dtype, shape and data_offsets"),
        ({"x": X, "__metadata__": {"a": 1}}, 8, "metadata"),
        (b'{"x": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, "x": 1}', 0, "twice"),
        (b"[1, 2]", 0, "no JSON object"),
        (b'{"x": NaN}', 0, "NaN"),
        (b'{"x": ', 0, "no valid JSON"),
        (b'{"x":' * 3000, 0, "no valid JSON"),
        (b'{"\xff": 1}', 0, "no valid JSON"),
    ],
)
def test_damaged_headers_say_what_is_wrong(header: Any, size: int, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(encoded(header, bytes(size)))
    with pytest.raises(DamagedFile, match=says):
        SafetensorsFile(tmp_path / "a.safetensors")


@many
@given(cut=st.integers(0, 400))
def test_short_files(cut: int, tmp_path: Path) -> None:
    save_file({"x": torch.arange(50.0)}, tmp_path / "a.safetensors")
    whole = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(whole[: min(cut, len(whole) - 1)])
    with pytest.raises(DamagedFile):
        SafetensorsFile(tmp_path / "a.safetensors")


@many
@given(changes=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), min_size=1, max_size=4))
def test_bytes_changed_at_random(changes: list[tuple[int, int]], tmp_path: Path) -> None:
    """Either it is refused, or it reads as the library reads it."""
    save_file({"a": torch.arange(6.0).view(2, 3), "b": torch.arange(3)}, tmp_path / "a.safetensors", {"format": "pt"})
    content = bytearray((tmp_path / "a.safetensors").read_bytes())
    for position, value in changes:
        content[position % len(content)] = value
    agrees_with_the_library(tmp_path / "a.safetensors", bytes(content))


sizes = st.integers(-1, 20) | st.sampled_from([2**31, 2**63, 2**64, 1.0, None, "1", True])
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "U8", "I64", "BOOL", "F8_E4M3", "X", None]),
        "shape": st.lists(sizes, max_size=3),
        "data_offsets": st.lists(sizes, min_size=1, max_size=3),
    },
    optional={"extra": st.just(1)},
)
names = st.sampled_from(["a", "b", "__metadata__"])


@many
@given(header=st.dictionaries(names, entries | st.none() | st.just({"k": "v"}), max_size=3), size=st.integers(0, 40))
def test_headers_made_at_random(header: dict[str, Any], size: int, tmp_path: Path) -> None:
    agrees_with_the_library(tmp_path / "a.safetensors", encoded(header, bytes(size)))


def agrees_with_the_library(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        file = SafetensorsFile(path)
    except DamagedFile:
        return
    theirs = readable(path)
    assert theirs is not None, "the library refuses it"
    for name, tensor in theirs.items():
        assert equal(file.tensor(name), tensor)
