"""Disks that fill, inputs on disks that cannot be written, and two merges into one folder.

A sandbox gives a small disk of its own without root; what runs in it is the command as users run it.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT, moved, random_tensors, write_model
from tests.wudi.children import child, run_with
from tests.wudi.merges import Trio, contents, interrupted, run
from wudi import WudiError
from wudi.work_folder import WorkFolder

AVERAGE = {"method": "average"}
DISK = Path("/mnt")
SIZE = 1 << 20


@cache
def sandboxed() -> bool:
    """Whether there is a sandbox, and it may be used here."""
    command = ["bwrap", "--ro-bind", "/", "/", "--size", str(SIZE), "--tmpfs", str(DISK), "true"]
    return shutil.which("bwrap") is not None and subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def sandbox() -> None:
    if not sandboxed():
        pytest.skip("bubblewrap, which gives a small disk, is missing or may not be used here")


def in_sandbox(script: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run a script where all is read-only, but for a small empty disk."""
    command = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--size", str(SIZE), "--tmpfs", str(DISK), *flags]
    command += ["--chdir", str(ROOT), "--setenv", "TMPDIR", "/dev/shm", "--", "bash", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def command(trio: Trio, out: Path, *, before: str = "") -> str:
    """A shell's words for a merge; `before` is run in its process first."""
    words = ["merge", str(trio[0]), *map(str, trio[1]), "--method=average", "--device=cpu", "--out", str(out)]
    return f"{sys.executable} -c '{before}\nfrom wudi.cli import main\nmain({as_list(words)})'"


def as_list(words: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


FORESEEN = "import shutil\nshutil.disk_usage = lambda _: shutil._ntuple_diskusage(1 << 40, 0, 1 << 40)"
"""The disk fills after the merge has seen that there is room."""


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("free", [0, 30, 100])
def test_a_disk_that_fills_while_a_merge_writes(free: int, tmp_path: Path) -> None:
    """With so many KiB left: in the plan, a shard, and the files beside the shards."""
    base = random_tensors(0)
    trio = write_model(tmp_path / "base", base, shards=3), [write_model(tmp_path / "one", moved(base, 1))]
    (trio[0] / "tokenizer.json").write_text("x" * 100_000)
    whole = run(*trio, tmp_path / "whole", AVERAGE).out
    script = f"""
        head -c $(({SIZE} - {free} * 1024)) /dev/zero > {DISK}/filler
        {command(trio, DISK / "out", before=FORESEEN)}
        echo "status $?" >&2
        test -e {DISK}/out && echo "looks finished" >&2
        rm {DISK}/filler
        set -e
        {command(trio, DISK / "out")} >&2
        diff -r {DISK}/out {whole} && ls -A {DISK} >&2
    """
    ended = in_sandbox(script)
    told = ended.stderr.splitlines()
    assert told[:2] == [
        "error: the disk is full; free some space and run the same command again: it goes on where it stopped",
        "status 1",
    ]
    assert told[2].startswith("merged 1 expert by")
    assert told[3:] == ["out"]
    assert ended.returncode == 0, ended.stdout


@pytest.mark.usefixtures("sandbox")
def test_too_small_a_disk_is_seen_before_anything_is_written(trio: Trio) -> None:
    script = f"""
        head -c {SIZE - 4096} /dev/zero > {DISK}/filler
        {command(trio, DISK / "out")}
        echo "status $?" >&2
        find {DISK} -name "*.safetensors*" >&2
    """
    told = in_sandbox(script).stderr.splitlines()
    assert told[0].startswith(f"error: {DISK}/out: needs 0.00 GB, but the disk has")
    assert told[1:] == ["status 1"]


@pytest.mark.usefixtures("sandbox")
def test_inputs_and_outputs_that_cannot_be_written(trio: Trio, tmp_path: Path) -> None:
    """All of it is mounted read-only: the inputs are merged, and an output there is refused."""
    whole = run(*trio, tmp_path / "whole", AVERAGE).out
    script = f"""
        {command(trio, DISK / "out")} >&2 && diff -r {DISK}/out {whole} && echo equal >&2
        {command(trio, tmp_path / "out")}
        echo "status $?" >&2
    """
    told = in_sandbox(script).stderr.splitlines()
    assert told[0].startswith("merged 3 experts") and told[1] == "equal"
    assert told[2] == f"error: {tmp_path / 'out'}: cannot be written (Read-only file system); name another folder"
    assert told[3:] == ["status 1"]


def test_two_merges_into_one_folder(trio: Trio, tmp_path: Path) -> None:
    """One is refused, as long as the other works there, and takes over what that one left."""
    whole = contents(run(*trio, tmp_path / "whole", AVERAGE).out)
    interrupted(trio, tmp_path / "out", AVERAGE, 5)
    with (
        WorkFolder(tmp_path / "other", {}, inputs=[]),
        pytest.raises(WudiError, match=r"other\.partial: another process is writing there"),
    ):
        run(*trio, tmp_path / "other", AVERAGE)
    racers = [child(run_with, trio, tmp_path / "out", AVERAGE, {"overwrite": True}) for _ in range(4)]
    for racer in racers:
        racer.join()
    assert 0 in [racer.exitcode for racer in racers]
    assert contents(tmp_path / "out") == whole
    assert not (tmp_path / "out.partial").exists()
