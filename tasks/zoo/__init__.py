"""The embedded zoo: a base model and four experts that a machine without GPU or network trains in minutes.

Each expert masters the miniature of one benchmark: generated problems in that benchmark's own form, with its prompt,
few-shot examples, stop strings, filters and metric. Merging them is a real experiment at the size of a toy.
"""

from pathlib import Path

from tasks.zoo.settings import ZooSettings
from wudi.progress import Track, silent

__all__ = ["NAMES", "TASKS_FOLDER", "ZooSettings", "train"]

NAMES: tuple[str, ...] = ("base", "gsm8k", "math", "humaneval", "mbpp")
"""What the zoo can train: the base, and one expert for each miniature."""

TASKS_FOLDER: Path = Path(__file__).parent / "lm_eval_tasks"
"""The miniatures as lm-eval tasks `zoo_gsm8k`, `zoo_math`, `zoo_humaneval` and `zoo_mbpp`, for a `TaskManager`."""


def train(name: str, folder: Path, settings: ZooSettings, *, base: Path | None = None, track: Track = silent) -> None:
    """Train the zoo's model `name` and write it as a complete model folder; an expert starts from the folder `base`.

    The same settings give the same bytes on the same machine.
    """
    if name not in NAMES:
        raise ValueError(f"the zoo has no model {name!r}; it has {', '.join(NAMES)}")
    if name != "base" and base is None:
        raise ValueError(f"the zoo's expert {name!r} starts from the base: pass the folder with the base")

    # transformers takes seconds to import, and whoever only asks for names or folders should not wait for it.
    from tasks.zoo import training

    if base is None or name == "base":
        training.train_base(folder, settings, track)
    else:
        training.train_expert(name, folder, settings, base, track)
