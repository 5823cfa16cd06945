"""What a stage wrote, as a Prefect artifact: a table of links, sizes, hashes and places in the remote."""

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from prefect.artifacts import create_markdown_artifact

from flows.graph import Stage


def publish_outputs(stage: Stage, root: Path, remote: str | None) -> None:
    """Make an artifact of what dvc.lock says that a stage wrote; a stage without outputs makes none."""
    outputs = recorded_outputs(stage, root)
    if outputs:
        folder = (root / stage.file).parent
        create_markdown_artifact(
            key=key_of(stage.name),
            markdown="\n".join(table(outputs, folder, remote, stage.pushed)),
            description=f"What the stage {stage.name} wrote",
        )


def key_of(stage: str) -> str:
    """The artifact's key: Prefect takes small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", stage.lower()).strip("-")


def recorded_outputs(stage: Stage, root: Path) -> list[dict[str, Any]]:
    """The stage's outputs as DVC recorded them: path, size, number of files, hash.

    DVC replaces no file in one step, and another stage's DVC may be writing this one: looked at again, then.
    """
    lock = (root / stage.file).with_suffix(".lock") if stage.file.endswith("dvc.yaml") else root / stage.file
    name = stage.name.rpartition(":")[2]
    for _ in range(20):
        try:
            recorded = yaml.load(lock.read_text(encoding="utf-8"), yaml.CSafeLoader)
            return list((recorded["stages"][name] if "stages" in recorded else recorded).get("outs", []))
        except (OSError, KeyError, TypeError, AttributeError, yaml.YAMLError):
            time.sleep(0.1)
    return []


def table(
    outputs: Sequence[Mapping[str, Any]], folder: Path, remote: str | None, pushed: Collection[str]
) -> Iterator[str]:
    """The outputs in Markdown, a row each."""
    yield "| output | size | files | hash |" + (" in the remote, once pushed |" if remote else "")
    yield "|---|---:|---:|---|" + ("---|" if remote else "")
    for output in outputs:
        path = Path(output["path"])
        row = f"| [{path}](file://{quote(str(folder / path))}) | {readable(output.get('size', 0))} "
        row += f"| {output.get('nfiles', 1)} | `{output.get('md5', '')}` |"
        found = f"`{place(output, remote)}`" if remote and output["path"] in pushed else "not pushed"
        yield row + (f" {found} |" if remote else "")


def place(output: Mapping[str, Any], remote: str) -> str:
    """Where an output is in a remote: DVC names each file after its hash, and a folder's list of files too."""
    digest = str(output.get("md5", ""))
    return f"{remote.rstrip('/')}/files/md5/{digest[:2]}/{digest[2:]}"


def readable(size: float) -> str:
    """A number of bytes in the unit in which it is easily read."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.4g} TB"
