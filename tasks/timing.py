"""Measured seconds, kept beside the pipeline: they differ from run to run, so nothing that DVC hashes holds them."""

import json
import os
import platform
import re
from pathlib import Path
from typing import Any

from tasks import paths

CPU_INFO = Path("/proc/cpuinfo")


def write_timing(stage: str, name: str, seconds: float, device: str, **details: Any) -> None:
    """Leave the wall-clock seconds of a stage for the leaderboard, with the machine and what else was measured."""
    path = paths.timing(stage, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"seconds": round(seconds, 3), "device": device, "hardware": hardware(), **details}
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def hardware() -> str:
    """The machine in a line: its GPUs, the make of its CPU, and the cores that the process may use."""
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    counted = [f"{gpus.count(gpu)} × {gpu}" for gpu in dict.fromkeys(gpus)]
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return " + ".join([*counted, f"{cpu()}, {allowed} {'core' if allowed == 1 else 'cores'}"])


def cpu() -> str:
    """The make of the CPU, or its kind where the system does not say."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", CPU_INFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return " ".join(found.group(1).split()) if found else platform.processor() or platform.machine()
