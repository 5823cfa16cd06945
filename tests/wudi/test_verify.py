"""`wudi verify`: a finished merge, and its inputs, against merge.json."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.conftest import moved, random_tensors
from tests.wudi.merges import Trio, bare_files, run
from wudi import WudiError
from wudi.checkpoint import Checkpoint
from wudi.cli import main
from wudi.experts import open_experts
from wudi.task_vectors import write_task_vector
from wudi.verification import verify

AVERAGE = {"method": "average"}
SHARD = "model-00002-of-00003.safetensors"


@pytest.fixture
def merged(trio: Trio, tmp_path: Path) -> Path:
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (trio[0] / name).write_text("{}")
    return run(*trio, tmp_path / "merged", AVERAGE).out


def test_a_finished_merge_and_its_inputs(
    merged: Path, trio: Trio, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    record = json.loads((merged / "merge.json").read_text())
    files = {file.name for file in merged.iterdir()}
    assert record["outputs"].keys() | record["files"].keys() == files - {"merge.json"}
    assert {"config.json", "generation_config.json", "chat_template.jinja", "README.md"} <= record["files"].keys()
    for name, digest in {**record["outputs"], **record["files"]}.items():
        assert hashlib.sha256((merged / name).read_bytes()).hexdigest() == digest
    experts = [f"--expert={path.name}={path}" for path in trio[1]]
    main(["verify", str(merged), "--base", str(trio[0]), *experts])
    assert capsys.readouterr().out.splitlines() == [
        "weights: 3 files",
        "other files: 7 files",
        "base: 3 files",
        "expert expert1: 1 file",
        "expert expert2: 1 file",
        "expert expert3: 1 file",
        "verified 16 files",
    ]
    shutil.move(merged, tmp_path / "elsewhere")
    main(["verify", str(tmp_path / "elsewhere")])
    assert capsys.readouterr().out.splitlines()[-1] == "verified 10 files"


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def write(file: Path) -> None:
    file.write_bytes(b"edited")


@pytest.mark.parametrize("name", [SHARD, "README.md", "config.json", "model.safetensors.index.json"])
@pytest.mark.parametrize("change", [flip, cut, write, Path.unlink])
def test_each_difference_is_a_line_with_both_hashes(
    name: str, change: Callable[[Path], None], merged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hashlib.sha256((merged / name).read_bytes()).hexdigest()
    change(merged / name)
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(merged)])
    assert caught.value.code == 1
    (line,) = (line for line in capsys.readouterr().out.splitlines() if str(merged) in line)
    file = merged / name
    found = f"has SHA-256 {hashlib.sha256(file.read_bytes()).hexdigest()}" if file.exists() else "is missing"
    assert f"{file}: {found}" in line and before in line


@pytest.mark.parametrize("name", ["model.safetensors", "model-00004-of-00004.safetensors", "notes.txt", "plan.json"])
def test_what_the_merge_has_not_written(name: str, merged: Path) -> None:
    (merged / name).write_bytes(b"x")
    (merged / ".gitattributes").write_bytes(b"x")
    (line,) = verify(merged).differences
    assert f"{merged / name}: has SHA-256" in line and "does not name it" in line


def test_a_record_that_agrees_with_the_files_and_not_with_the_model(merged: Path) -> None:
    record = json.loads((merged / "merge.json").read_text())
    index = json.loads((merged / "model.safetensors.index.json").read_text())
    index["weight_map"]["lm_head.weight"] = SHARD
    text = json.dumps(index)
    (merged / "model.safetensors.index.json").write_text(text)
    record["files"]["model.safetensors.index.json"] = hashlib.sha256(text.encode()).hexdigest()
    (merged / "merge.json").write_text(json.dumps(record))
    (line,) = verify(merged).differences
    assert "says that tensor lm_head.weight is in" in line


def test_other_inputs(merged: Path, trio: Trio) -> None:
    base, experts = trio
    report = verify(merged, base=base, experts={"expert1": experts[0], "expert2": experts[2]})
    (line,) = report.differences
    assert line.startswith(f"expert expert2: {experts[2] / 'model.safetensors'}: has SHA-256")
    assert report.files == 10 + 3 + 2
    assert len(verify(merged, base=experts[0]).differences) == 3
    with pytest.raises(WudiError, match=r"got expert 'other'; the merge has expert1, expert2, expert3"):
        verify(merged, experts={"other": base})


def test_task_vectors_as_experts(trio: Trio, tmp_path: Path) -> None:
    base, experts = trio
    for expert in open_experts(experts):
        write_task_vector(Checkpoint(base), expert, tmp_path / "vectors" / expert.name)
    vectors = {path.name: tmp_path / "vectors" / path.name for path in experts}
    out = run(base, list(vectors.values()), tmp_path / "out", AVERAGE).out
    assert not verify(out, base=base, experts=vectors).differences
    assert len(verify(out, experts={path.name: path for path in experts}).differences) == 3 * 3


def test_bare_files_may_be_renamed(tmp_path: Path) -> None:
    base, experts = bare_files(tmp_path / "files", [random_tensors(0), moved(random_tensors(0), 1)])
    out = run(base, experts, tmp_path / "out", AVERAGE).out
    moved_to = experts[0].rename(tmp_path / "renamed.safetensors")
    assert verify(out, base=base, experts={"1": moved_to}).files == 3
    assert not verify(out, base=base, experts={"1": moved_to}).differences
    save_file({name: tensor + 1 for name, tensor in load_file(moved_to).items()}, moved_to)
    assert len(verify(out, base=base, experts={"1": moved_to}).differences) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "has no merge.json"),
        ("{", "cannot be read"),
        ("[]", "lacks the hashes"),
        ('{"outputs": {}, "files": {}, "base": {}}', "lacks the hashes"),
        ('{"outputs": {"../x": "a"}, "files": {}, "base": {}, "experts": {}}', "lacks the hashes"),
    ],
)
def test_what_is_no_record(text: str | None, says: str, merged: Path) -> None:
    (merged / "merge.json").unlink()
    if text is not None:
        (merged / "merge.json").write_text(text)
    with pytest.raises(WudiError, match=says) as caught:
        verify(merged)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("flags", [["--expert", "math"], ["--expert=a=b", "--expert=a=c"], ["--expert", "a="]])
def test_experts_on_the_command_line(flags: list[str], merged: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(merged), *flags])
    assert "--expert" in str(caught.value.code)
