"""The machine: Python, torch, GPUs, cores and memory, and the sandbox."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.doctoring.finding import Finding, note, ok, problem
from wudi.errors import WudiError

if TYPE_CHECKING:  # brings torch
    from tasks.params import Params

GIGABYTE = 1e9
SMALL_MEMORY = 3 * GIGABYTE
"""With less, evaluating even the zoo beside two other stages is tight."""

USER_NAMESPACES = {
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
    "/proc/sys/kernel/unprivileged_userns_clone": "0",
    "/proc/sys/user/max_user_namespaces": "0",
}
"""Settings of the kernel, each with the value that keeps bubblewrap from isolating anything."""


def python() -> list[Finding]:
    """The interpreter, against what the project asks for."""
    from importlib.metadata import PackageNotFoundError, metadata

    from packaging.specifiers import SpecifierSet

    try:
        wanted = SpecifierSet(metadata("wudi")["Requires-Python"])
    except PackageNotFoundError:  # of which `packages` tells
        wanted = SpecifierSet()
    found = platform.python_version()
    if found in wanted:
        return [ok("Python", f"{found} in {sys.prefix}")]
    return [problem("Python", f"{found}, but the project takes {wanted}", "make setup PYTHON=python3.12")]


def torch_and_gpus(params: "Params | None") -> list[Finding]:
    """How torch was built, and the GPUs that it sees."""
    import torch

    driver = driver_of_nvidia()
    backend = f"CUDA {torch.version.cuda}" if torch.version.cuda else torch.version.hip or "CPU"
    findings = [ok("torch", f"{torch.__version__}, built for {backend}")]
    count = torch.cuda.device_count()
    if count:
        devices = [torch.cuda.get_device_properties(number) for number in range(count)]
        listed = ", ".join(f"{device.name} {device.total_memory / GIGABYTE:.0f} GB" for device in devices)
        return [*findings, ok("GPU", listed + (f"; driver {driver}" if driver else ""))]
    if driver:
        remedy = f"pip install --force-reinstall torch=={torch.__version__.partition('+')[0]}"
        text = f"there is one (driver {driver}), but this torch, built for {backend}, does not use it"
        return [*findings, problem("GPU", text, remedy)]
    asked = [] if params is None else asked_for_cuda(params)
    if asked:
        text = f"none, and params.yaml asks for one in {', '.join(asked)}"
        return [*findings, problem("GPU", text, " ".join(["dvc exp run", *(f"-S {key}=auto" for key in asked)]))]
    return [*findings, note("GPU", "none, which is fine for the zoo and small models: all runs on the CPU")]


def asked_for_cuda(params: "Params") -> list[str]:
    """The keys of params.yaml that name a GPU."""
    devices = {"merge.device": params.merge.device, "evaluation.device": params.evaluation.device}
    return [key for key, device in devices.items() if device.startswith("cuda")]


def driver_of_nvidia() -> str:
    """The version of NVIDIA's driver; empty where there is none."""
    if shutil.which("nvidia-smi") is None:
        return ""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip().partition("\n")[0] if answer.returncode == 0 else ""


def cores_and_memory() -> list[Finding]:
    """What this process may use of the processor, and the memory."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = psutil.virtual_memory()
    sizes = f"{memory.available / GIGABYTE:.1f} of {memory.total / GIGABYTE:.1f} GB of memory free"
    text = f"{cores} {'core' if cores == 1 else 'cores'}, {sizes}"
    if memory.available < SMALL_MEMORY:
        return [note("CPU", text, "run one stage at a time: `dvc repro`, or `python -m flows.pipeline --workers 1`")]
    return [ok("CPU", text)]


def sandbox(params: "Params | None") -> list[Finding]:
    """Whether programs that a model wrote can be isolated, found out by running one."""
    if params is not None and params.evaluation.sandbox == "none":
        text = "params.yaml runs model-written programs unprotected (evaluation.sandbox: none)"
        return [note("bubblewrap", text, "sudo apt-get install bubblewrap, then evaluation.sandbox: bubblewrap")]
    from tasks.sandbox import check_available

    try:
        check_available("bubblewrap")
    except WudiError as error:
        if shutil.which("bwrap") is None:
            text = "not installed; HumanEval and MBPP run model-written programs in it"
            return [problem("bubblewrap", text, "sudo apt-get install bubblewrap")]
        text = f"installed, but it cannot isolate a program here: {' '.join(str(error.__cause__ or error).split())}"
        return [problem("bubblewrap", text, allow_namespaces())]
    return [ok("bubblewrap", "isolates model-written programs (one was run in it)")]


def allow_namespaces() -> str:
    """The command that lets bubblewrap have what the kernel keeps from it."""
    wrong = [path for path, value in USER_NAMESPACES.items() if setting(path) == value]
    values: Sequence[str] = [f"{path.removeprefix('/proc/sys/').replace('/', '.')}={mended(path)}" for path in wrong]
    if values:
        return f"sudo sysctl --write {' '.join(values)}"
    return "allow this container user namespaces (docker run --security-opt seccomp=unconfined), see docs/security.md"


def mended(path: str) -> str:
    """The value that a setting of the kernel should have."""
    return {"0": "1", "1": "0"}[USER_NAMESPACES[path]] if "max" not in path else "15000"


def setting(path: str) -> str:
    """A setting of the kernel; empty where it has none of that name."""
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""
