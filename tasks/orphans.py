"""What a removed recipe or expert left behind.

DVC forgets the stage of a name that no longer stands in params.yaml but leaves its outputs in the workspace, where the
stages that read whole folders (task_vectors, merged, scores, samples) would still take them for inputs.
"""

import json
import shutil
from collections.abc import Collection
from pathlib import Path

from tasks import paths
from tasks.params import Params


def remove_orphans(params: Params) -> list[Path]:
    """Delete outputs of models that params.yaml no longer names; DVC's cache still holds them.

    Only what has the shape of an output goes; notes, folders in work and model folders stay. Stages that run side
    by side may all do this at once.
    """
    models = params.models()
    orphans = [
        *(path for path in strangers(paths.SCORES, models, ".json") if is_scores(path)),
        *(path for path in strangers(paths.SAMPLES, models) if any(path.glob("*.jsonl.gz"))),
        *(path for path in strangers(paths.TASK_VECTORS, params.experts) if (path / "summary.json").is_file()),
        *(path for path in strangers(paths.MERGED, params.recipes) if (path / "merge.json").is_file()),
    ]
    for path in orphans:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return orphans


def strangers(folder: Path, names: Collection[str], suffix: str = "") -> list[Path]:
    """What lies in a folder under no known name: files with a suffix, or (without one) folders, links excluded."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    of_kind = [path for path in entries if path.suffix == suffix and path.is_dir() == (not suffix)]
    return [path for path in of_kind if path.stem not in names and not (path.is_dir() and path.is_symlink())]


def is_scores(path: Path) -> bool:
    """Whether a JSON file is one that evaluation writes."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and "evaluations" in values
