"""Time and memory of one training step."""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import torch
from measure import Step, in_process, interleaved, peak_memory
from networks import batch, build
from three_pass import ThreePassOptimWrapper

from mmgmp.engine.optim import AmpGMPOptimWrapper, GMPOptimWrapper
from mmgmp.engine.optim.gradients import (
    add_,
    inner_products,
    scale_,
)

OFF = dict(modulation=None, projection=None)
VARIANTS: dict[str, dict[str, Any]] = {
    'Base': OFF,
    'ERM': dict(OFF, domains=None),
    'IGDM only': dict(projection=None),
    'GMP': {},
    'GMP, feature level': dict(level='feature'),
    'three passes': dict(three_pass=True),
}
TWO, THREE = ('video', 'audio'), ('video', 'audio', 'flow')


def make_step(
    variant: str,
    network: str,
    modalities: tuple[str, ...],
    frozen_stages: int,
    dtype: str,
    device: str,
) -> Step:
    """Return a function that makes one training step.

    Args:
        variant: Key of :data:`VARIANTS`.
        network: Key of ``networks.NETWORKS``.
        modalities: Of video, audio and flow.
        frozen_stages: -1 or 3.
        dtype: ``'float32'`` or ``'bfloat16'``.
        device: ``'cpu'`` or ``'cuda'``.
    """
    options = dict(VARIANTS[variant])
    model = build(
        network, modalities, frozen_stages, options.pop('domains', 2)
    ).to(device)
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr=1e-4
    )
    if options.pop('three_pass', False):
        wrapper = ThreePassOptimWrapper(optimizer)
    elif dtype == 'bfloat16':
        wrapper = AmpGMPOptimWrapper(
            optimizer=optimizer, dtype=dtype, **options
        )
    else:
        wrapper = GMPOptimWrapper(optimizer, **options)
    data = batch(network, modalities, device)

    def step() -> None:
        model.train_step(data, wrapper)
        if device == 'cuda':
            torch.cuda.synchronize()

    return step


def compare(rounds: int, device: str, **case: Any) -> dict[str, float]:
    """Return the median step time of each variant, divided by Base's.

    Args:
        rounds: Timed steps per variant, after two that are not.
        device: ``'cpu'`` or ``'cuda'``.
        **case: Arguments of :func:`make_step`.

    Returns:
        Ratios by variant, and ``'Base seconds'``.
    """
    names = [
        v
        for v in VARIANTS
        if not (v == 'three passes' and case['dtype'] == 'bfloat16')
    ]
    steps = {v: make_step(v, device=device, **case) for v in names}
    ratios, seconds = interleaved(steps, rounds, 'Base')
    return {**ratios, 'Base seconds': seconds}


def all_steps(rounds: int, device: str, quick: bool) -> list[dict[str, Any]]:
    """Compare the variants in every setting.

    Args:
        rounds: Timed steps per variant.
        device: ``'cpu'`` or ``'cuda'``.
        quick: Only the small network with two modalities in float32.
    """
    cases = [
        dict(network=n, modalities=m, frozen_stages=f, dtype=d)
        for n in ('SlowFast-18', 'SlowFast-R101')
        for f in (-1, 3)
        for m in (TWO, THREE)
        for d in ('float32', 'bfloat16')
        if not (n == 'SlowFast-R101' and (f == -1 or m == THREE))
    ]
    if quick:
        cases = [
            c
            for c in cases
            if c['network'] == 'SlowFast-18'
            and c['modalities'] == TWO
            and c['dtype'] == 'float32'
        ]
    rows = []
    for case in cases:
        ratios = compare(rounds, device, **case)
        rows.append({**case, **ratios})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def rule_cost(
    rounds: int, device: str, network: str, frozen_stages: int
) -> dict[str, Any]:
    """Return the cost of the rule alone as a share of a Base step.

    Args:
        rounds: Timed repetitions.
        device: ``'cpu'`` or ``'cuda'``.
        network: Key of ``networks.NETWORKS``.
        frozen_stages: -1 or 3.
    """
    case: dict[str, Any] = dict(
        network=network, modalities=TWO, frozen_stages=frozen_stages
    )
    model = build(**case).to(device)
    parts: list[Any] = [
        [torch.randn_like(p) for p in parameters]
        for parameters in model.trainable_encoder_parameters().values()
    ]
    others: list[Any] = [[torch.randn_like(g) for g in part] for part in parts]
    one = torch.ones((), device=device)

    def rule() -> None:
        for g_c, g_d in zip(parts, others, strict=True):
            inner_products(g_c, g_d)
            scale_(g_c, one)
            scale_(g_d, one * 0)
            add_(g_c, g_d)
        if device == 'cuda':
            torch.cuda.synchronize()

    base = make_step('Base', dtype='float32', device=device, **case)
    shares = []
    for index in range(rounds + 2):
        times = []
        for run in (rule, base):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        if index >= 2:
            shares.append(times[0] / times[1])
    return {**case, 'rule / Base step': statistics.median(shares)}


def memory(device: str) -> list[dict[str, Any]]:
    """Measure the peak memory of three steps, a process per variant.

    Args:
        device: ``'cpu'`` or ``'cuda'``.
    """
    rows = []
    for frozen_stages in (-1, 3):
        peaks = {
            variant: in_process(__file__, variant, str(frozen_stages), device)
            for variant in VARIANTS
        }
        base, copy = peaks['Base']['peak'], peaks['Base']['gradients']
        rows.append(
            {
                'frozen_stages': frozen_stages,
                'one copy of the encoder gradients / Base': copy / base,
                **{v: p['peak'] / base for v, p in peaks.items()},
                'allowed': (base + copy) * 1.05 / base,
            }
        )
    return rows


def _measure(variant: str, frozen_stages: int, device: str) -> None:
    case: dict[str, Any] = dict(
        network='SlowFast-18', modalities=TWO, frozen_stages=frozen_stages
    )
    step = make_step(variant, dtype='float32', device=device, **case)
    for _ in range(3):
        step()
    parameters = build(**case).trainable_encoder_parameters()
    gradients = sum(p.numel() * 4 for ps in parameters.values() for p in ps)
    print(json.dumps({'peak': peak_memory(device), 'gradients': gradients}))


if __name__ == '__main__':
    _measure(sys.argv[1], int(sys.argv[2]), sys.argv[3])
