"""Where a merge computes: on which devices, with how many workers, and how many threads each has."""

from dataclasses import dataclass

import torch

from wudi.errors import WudiError
from wudi.tensor_merge import TensorMerge
from wudi.workers import cores


@dataclass(frozen=True)
class Placement:
    """One worker a device; a CPU is there as often as it has workers."""

    devices: tuple[torch.device, ...]
    threads: int
    """Of torch within each worker: by the model and the machine, never by the number of workers."""
    model: str
    """The kind of CPU or GPU."""

    @property
    def kind(self) -> str:
        """`cpu` or `cuda`."""
        return self.devices[0].type

    def describe(self) -> dict[str, object]:
        """What of it decides rounding: the kind of CPU or GPU, and the threads that share a product."""
        return {"device": self.model, "threads": self.threads}


def place(device: str, workers: int | None, merge: TensorMerge) -> Placement:
    """Take the devices that `device` names, `auto` being the GPU where there is one, and as many workers as fit.

    On a CPU that is one a core, each with one thread, as long as all of them together hold no more than (experts + 3)
    times the largest tensor in float32; where tensors are so large that fewer fit, these share the cores.

    Raises:
        WudiError: No such device, not on this machine, GPUs of several kinds, or workers that are no whole number.
    """
    devices = choose_devices(device)
    return spread(devices, workers, threads_for(devices[0], merge), cores())


def threads_for(device: torch.device, merge: TensorMerge) -> int:
    """With how many threads this machine merges a tensor."""
    return cores() if device.type != "cpu" else max(1, cores() // fitting(merge))


def spread(devices: tuple[torch.device, ...], workers: int | None, threads: int, available: int) -> Placement:
    """Each GPU once; a CPU as often as `workers` says, or as the cores that are available have room for.

    Raises:
        WudiError: Workers that are no whole number, or that are asked for on a GPU.
    """
    model = model_of(devices[0])
    if workers is not None and workers < 1:
        raise WudiError(f"workers: got {workers}; takes a whole number of at least 1")
    if devices[0].type == "cpu":
        return Placement(devices * (workers or max(1, available // threads)), threads, model)
    if workers is not None:
        raise WudiError(f"workers: goes with a CPU, and the device is {devices[0]}; name several GPUs instead")
    return Placement(devices, threads, model)


def fitting(merge: TensorMerge) -> int:
    """How many tensors can be merged at once in the memory that a merge may take."""
    infos, count = merge.inputs.base.tensors, len(merge.inputs.experts)
    largest = max(info.elements for info in infos.values())
    needed = max((entries_held(merge, name, count) for name in infos if is_whole(merge, name)), default=1)
    return max(1, (count + 3) * largest // needed)


def is_whole(merge: TensorMerge, name: str) -> bool:
    """Whether a tensor is merged at once and not slice by slice."""
    return merge.inputs.base.tensors[name].floating and (not merge.by_entry(name) or merge.measured_here(name))


def entries_held(merge: TensorMerge, name: str, experts: int) -> int:
    """About how many entries are in memory while a tensor is merged: task vectors, sums, Gram matrices."""
    info = merge.inputs.base.tensors[name]
    inner = info.shape[-1] if merge.by_method(name) and info.shape else 0
    return max((experts + 6) * info.elements + 6 * inner * inner, 1)


def choose_devices(device: str) -> tuple[torch.device, ...]:
    """The devices that a list with commas names.

    Raises:
        WudiError: One of them is none, is not on this machine, or is of another kind than the first.
    """
    names = [name.strip() for name in device.split(",")]
    if len(set(names)) < len(names):
        raise WudiError(f"device: got {device!r}, which names one twice; name each once, or use workers on a CPU")
    devices = [choose_device(name, device) for name in names]
    kinds = {model_of(each) for each in devices}
    if len(kinds) > 1:
        raise WudiError(
            f"device: got {device!r}, which are {', '.join(sorted(kinds))}; takes several of one kind, as others round "
            "differently"
        )
    return tuple(devices)


def model_of(device: torch.device) -> str:
    """The kind of CPU or GPU, as far as it decides rounding."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def choose_device(name: str, given: str) -> torch.device:
    """One device; `auto` is the GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
        torch.zeros(1, device=chosen).item()  # fails on devices without memory too, such as `meta`
    except (RuntimeError, AssertionError) as error:
        if name.startswith("cuda"):
            reason = str(error).splitlines()[0].split(". ")[0][:100]
            raise WudiError(
                f"device: got {given!r}, but torch finds {torch.cuda.device_count()} GPUs here ({reason}); take cpu "
                "or auto"
            ) from None
        raise WudiError(f"device: got {given!r}; takes auto, cpu, cuda, or several GPUs as cuda:0,cuda:1") from None
    return chosen
