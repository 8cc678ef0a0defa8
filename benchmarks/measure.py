"""How the time and the memory of a step are taken."""

from __future__ import annotations

import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

Step = Callable[[], None]


def interleaved(
    steps: Mapping[str, Step], rounds: int, base: str
) -> tuple[dict[str, float], float]:
    """Return the median time of each step, divided by that of one of them.

    Args:
        steps: What to time, by name. A round runs each once, in random order.
        rounds: Timed rounds, after two that are not.
        base: Name of the step that the others are compared with.

    Returns:
        Ratios by name, and the seconds of the step compared with.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    order = random.Random(0)
    for index in range(rounds + 2):
        for name in order.sample(list(steps), len(steps)):
            start = time.perf_counter()
            steps[name]()
            if index >= 2:
                times[name].append(time.perf_counter() - start)
    # Ratio within each round first: a slow round is slow for all.
    ratios = {
        name: statistics.median(
            t / b for t, b in zip(taken, times[base], strict=True)
        )
        for name, taken in times.items()
    }
    return ratios, statistics.median(times[base])


def in_process(script: str, *arguments: str) -> dict[str, float]:
    """Run a script and return the JSON of the last line that it prints.

    Args:
        script: Its path.
        *arguments: Of its command line.

    Raises:
        RuntimeError: If the script fails, with what it wrote.
    """
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', script, *arguments],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f'{script} {" ".join(arguments)}:\n{done.stderr}')
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def peak_memory(device: str) -> int:
    """Return the peak memory of this process so far, in bytes.

    ``ru_maxrss`` would do but for Linux, where it keeps what the parent had
    before the program was started.

    Args:
        device: ``'cpu'`` for resident memory, ``'cuda'`` for what tensors
            took.
    """
    if device == 'cuda':
        return torch.cuda.max_memory_allocated()
    status = Path('/proc/self/status')
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    words = status.read_text().split()
    return int(words[words.index('VmHWM:') + 1]) * 1024
