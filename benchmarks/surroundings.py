"""What is around a step: start-up, several processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def startup(rounds: int) -> dict[str, float]:
    """Return the time to import the package, in seconds and as ratios.

    Args:
        rounds: Processes started for each.
    """
    modules = ('torch', 'mmaction.registry', 'mmgmp')
    times: dict[str, list[float]] = {m: [] for m in modules}
    for _ in range(rounds):
        for module in modules:
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, '-W', 'ignore', '-c', f'import {module}'],
                check=True,
            )
            times[module].append(time.perf_counter() - start)
    medians = {m: statistics.median(t) for m, t in times.items()}
    return {
        **{f'import {m}, seconds': t for m, t in medians.items()},
        'mmgmp / mmaction.registry': medians['mmgmp']
        / medians['mmaction.registry'],
    }


def scaling(rounds: int) -> dict[str, float]:
    """Return samples per second of GMP over 1 and 2 processes (gloo, CPU).

    Args:
        rounds: Timed steps.
    """
    rates = {}
    for world in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            mp.spawn(_train, (world, folder, rounds), nprocs=world)
            seconds = float((Path(folder) / 'seconds').read_text())
        rates[world] = world * 16 / seconds
    return {
        **{f'{w} process(es), samples/s': r for w, r in rates.items()},
        'ratio': rates[2] / rates[1],
    }


def _train(rank: int, world: int, folder: str, rounds: int) -> None:
    from mmengine.model import MMDistributedDataParallel
    from networks import batch, build

    from mmgmp.engine.optim import GMPOptimWrapper

    torch.set_num_threads(1)
    os.environ.update(LOCAL_RANK=str(rank))
    dist.init_process_group(
        'gloo',
        init_method=f'file://{folder}/store',
        rank=rank,
        world_size=world,
    )
    case = ('SlowFast-18', ('video', 'audio'))
    model = MMDistributedDataParallel(
        build(*case, -1), device_ids=None, broadcast_buffers=False
    )
    wrapper = GMPOptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-4))
    data = batch(*case, 'cpu')
    times = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        model.train_step(data, wrapper)
        times.append(time.perf_counter() - start)
    if rank == 0:
        median = statistics.median(times[2:])
        (Path(folder) / 'seconds').write_text(str(median))
    dist.barrier()
    dist.destroy_process_group()
