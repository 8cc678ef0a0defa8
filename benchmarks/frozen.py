"""The frozen part of the video encoder, compiled and channels-last."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from measure import interleaved
from networks import NETWORKS, build
from torch import Tensor

EAGER = 'eager'


def frozen(
    rounds: int, device: str, network: str = 'SlowFast-R101'
) -> dict[str, Any]:
    """Compare layouts and ``torch.compile`` over SlowFast's frozen stages.

    Args:
        rounds: Timed passes of each, by turns.
        device: ``'cpu'`` or ``'cuda'``.
        network: Key of ``networks.NETWORKS``.

    Returns:
        Times divided by that of the eager pass over contiguous tensors, and
        how far the maps are from its maps, relative to their largest value.
    """
    spec = NETWORKS[network]
    torch.manual_seed(0)
    clips = torch.randn(spec['batch'], *spec['shapes']['video'], device=device)
    passes: dict[str, Any] = {}
    for layout in (False, True):
        encoder = build(network, ('video',), 3, None).encoders['video']
        encoder = _relaid(encoder, layout).to(device)
        name = 'channels-last' if layout else EAGER
        passes[name] = partial(_run, encoder.forward_frozen, clips, device)
        both = 'compiled, channels-last' if layout else 'compiled'
        # With sizes left open, as PyTorch leaves them for the second network,
        # its compiler fails at the first lateral convolution (2.13).
        compiled = torch.compile(encoder.forward_frozen, dynamic=False)
        passes[both] = partial(_run, compiled, clips, device)
    wanted = passes[EAGER]()
    errors = {
        f'{name}, deviation': _deviation(run(), wanted)
        for name, run in passes.items()
        if name != EAGER
    }
    steps = {name: partial(_forget, run) for name, run in passes.items()}
    ratios, seconds = interleaved(steps, rounds, EAGER)
    return {
        'network': network,
        **ratios,
        'eager clips/s': spec['batch'] / seconds,
        **errors,
    }


def _relaid(encoder: Any, channels_last: bool) -> Any:
    """Store the weights as asked; ``build`` makes them channels-last."""
    encoder.channels_last = channels_last
    if not channels_last:
        for parameter in encoder.parameters():
            parameter.data = parameter.data.contiguous()
    return encoder


def _run(function: Any, clips: Tensor, device: str) -> tuple[Tensor, ...]:
    maps, _ = function(clips)
    if device == 'cuda':
        torch.cuda.synchronize()
    return tuple(maps)


def _forget(run: Any) -> None:
    run()


def _deviation(found: Any, wanted: Any) -> float:
    pairs = list(zip(found, wanted, strict=True))
    largest = max(float(b.abs().max()) for _, b in pairs)
    return max(float((a - b).abs().max()) for a, b in pairs) / largest
