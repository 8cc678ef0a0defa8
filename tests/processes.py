"""Real processes for tests, forked from a server that has imported torch."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

#: Imported once, in the server, instead of once per process.
_PRELOAD = [
    'mmaction.datasets',
    'mmaction.engine',
    'mmaction.evaluation',
    'mmaction.visualization',
    'mmengine.runner',
    'mmgmp.engine',
    'mmgmp.models',
    'tests.processes',
    'torch._dynamo',
]


def heed_interrupts() -> None:
    """Undo a parent's ``SIG_IGN``: shells start background jobs with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(function: Callable, *args: Any) -> BaseProcess:
    """Start ``function(*args)`` in a process of its own; it can be killed."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(_PRELOAD)
    process = context.Process(target=_quietly, args=(function, args))
    process.start()
    return process


def finish(processes: list[BaseProcess], timeout: float = 120.0) -> None:
    """Wait for all; fail if one fails or hangs."""
    end = time.monotonic() + timeout
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        if process.is_alive():
            process.kill()
            process.join()
    assert codes == [0] * len(codes), f'exit codes {codes}; None has hung'


def run_ranks(
    function: Callable[[int, int], Any], world_size: int, folder: Path
) -> list[Any]:
    """Run ``function(rank, world_size)`` on gloo ranks.

    Returns:
        What each rank returned, by rank.
    """
    folder.mkdir(exist_ok=True)
    finish(
        [
            start(_run_rank, function, rank, world_size, folder)
            for rank in range(world_size)
        ]
    )
    return [
        torch.load(folder / f'{rank}.pth', weights_only=True)
        for rank in range(world_size)
    ]


def _quietly(function: Callable, args: tuple) -> None:
    torch.set_num_threads(1)
    function(*args)


def _run_rank(
    function: Callable, rank: int, world_size: int, folder: Path
) -> None:
    dist.init_process_group(
        'gloo',
        init_method=f'file://{folder}/store',
        rank=rank,
        world_size=world_size,
    )
    try:
        torch.save(function(rank, world_size), folder / f'{rank}.pth')
    finally:
        dist.destroy_process_group()
