"""Timing that holds on a machine with other work: rivals in turn, several times, the median of each."""

import time
from collections.abc import Callable, Mapping
from statistics import median

import torch

Work = Callable[[], object]


def seconds(work: Work, device: torch.device) -> float:
    """Wall-clock seconds of a call, with the device's queue drained before and after."""
    drain(device)
    started = time.perf_counter()
    work()
    drain(device)
    return time.perf_counter() - started


def in_turn(rivals: Mapping[str, Work], device: torch.device, rounds: int = 3) -> dict[str, float]:
    """The median seconds of each rival over some rounds in which all of them take their turn."""
    found: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, work in rivals.items():
            found[name].append(seconds(work, device))
    return {name: median(times) for name, times in found.items()}


def drain(device: torch.device) -> None:
    """Wait for work that a GPU has queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_words(found: float) -> str:
    """Seconds or milliseconds, with two digits that count where there are fewer than ten of them."""
    number, unit = (found * 1e3, "ms") if found < 1.0 else (found, "s")
    return f"{number:.2g} {unit}" if number < 10.0 else f"{number:.0f} {unit}"
