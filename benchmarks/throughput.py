"""Clips per second of a training, and where its time goes."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from epochs import (
    METHODS,
    Training,
    by_turns,
    read,
    render,
    timed_loader,
    write_weights,
)

from mmgmp.apis.feature_cache import fill_cache

#: Clips of the synthetic mini-HAC and of HAC, with the networks for them.
SIZES: dict[str, dict[str, Any]] = {
    'mini-HAC': dict(
        corpus='mini-hac',
        batch=16,
        clips=64,
        media=dict(size=(64, 64), fps=12, seconds=2),
        workers=(0, 1, 2),
    ),
    # On a CPU, reading is a hundredth of it: workers have nothing to do.
    'paper': dict(corpus='hac', batch=4, clips=8, media={}, workers=(0,)),
}


def throughput(rounds: int, device: str, quick: bool) -> list[dict[str, Any]]:
    """Time epochs from files and from a feature cache, by stage.

    Args:
        rounds: Epochs of each variant, by turns.
        device: ``'cpu'`` or ``'cuda'``.
        quick: A few clips of mini-HAC's size only.

    Returns:
        A row per size, method, source and number of workers: clips per
        second and milliseconds per clip of each stage. Rows with workers
        decode and augment beside the training.
    """
    rows: list[dict[str, Any]] = []
    for name, spec in SIZES.items():
        if quick and name != 'mini-HAC':
            continue
        if quick:
            spec = {**spec, 'batch': 4, 'clips': 8}
        with tempfile.TemporaryDirectory() as folder:
            medians = _measure(Path(folder), spec, rounds, device)
        for (method, source, workers), taken in medians.items():
            total, clips = taken.pop('epoch'), spec['clips']
            stages = {
                f'{stage} [ms]': 1000 * seconds / clips
                for stage, seconds in taken.items()
            }
            rows.append(
                dict(
                    clips=name,
                    method=method,
                    source=source,
                    workers=workers,
                    **{'clips/s': clips / total, **stages},
                )
            )
    return rows


def _measure(
    folder: Path, spec: dict[str, Any], rounds: int, device: str
) -> dict[Any, dict[str, float]]:
    render(folder, spec['clips'], **spec['media'])
    base = partial(
        read, folder=folder, batch=spec['batch'], corpus=spec['corpus']
    )
    write_weights(base('ERM'), folder)
    fill_cache(base('ERM'), folder / 'cache', device=device)
    sources: dict[str, dict[str, Any]] = {
        'files': {},
        'cache': {'cache': str(folder / 'cache')},
    }
    variants = {}
    for method in METHODS:
        for source, options in sources.items():
            training = Training(base(method, **options), device)
            for workers in spec['workers']:
                loader = timed_loader(base(method, workers=workers, **options))
                variants[method, source, workers] = partial(
                    training.epoch, loader
                )
    return by_turns(variants, rounds)
