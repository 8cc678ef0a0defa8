"""What is around a step: loading, start-up, several processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmcv.transforms import Compose

from mmgmp.testing.media import write_video

_FPS, _SECONDS = 24, 10


def loader(rounds: int) -> dict[str, float]:
    """Compare seeking with decoding the whole file, on 10-second clips.

    Args:
        rounds: Clips loaded by each.

    Returns:
        Clips per second of both and their ratio.
    """
    import mmgmp.datasets  # noqa: F401

    sample = dict(
        type='SampleFrames', clip_len=32, frame_interval=2, num_clips=1
    )
    pipelines = {
        'seek': Compose(
            [dict(type='PyAVSeekInit'), sample, dict(type='PyAVSeekDecode')]
        ),
        'whole file': _whole_file,
    }
    rng = np.random.default_rng(0)
    drift = rng.integers(0, 255, (256, 340, 3), dtype=np.uint8)
    frames = np.stack(
        [np.roll(drift, 3 * i, 1) for i in range(_FPS * _SECONDS)]
    )
    times: dict[str, list[float]] = {name: [] for name in pipelines}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'clip.mp4'
        write_video(path, frames, fps=_FPS)
        for _ in range(rounds):
            for name, pipeline in pipelines.items():
                start = time.perf_counter()
                pipeline(
                    dict(filename=str(path), start_index=0, modality='RGB')
                )
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(t) for name, t in times.items()}
    return {
        **{f'{n}, clips per second': 1 / t for n, t in medians.items()},
        'ratio': medians['whole file'] / medians['seek'],
    }


def _whole_file(results: dict[str, Any]) -> dict[str, Any]:
    """Decode every frame, then sample: what a naive loader does."""
    import av

    with av.open(results['filename']) as container:
        frames = [
            frame.to_ndarray(format='rgb24')
            for frame in container.decode(video=0)
        ]
    offset = np.random.randint(len(frames) - 63)
    results['imgs'] = [frames[offset + 2 * i] for i in range(32)]
    return results


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
