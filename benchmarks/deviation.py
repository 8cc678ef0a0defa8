"""How far the feature-level rule is from the exact one, on mini-HAC."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor

from mmgmp.engine.optim import GMPOptimWrapper
from mmgmp.registry import MODELS
from mmgmp.utils.protocol import resolve_protocol

_CONFIG = 'gmp/gmp_mini-hac.py'


def deviation(steps: int) -> list[dict[str, Any]]:
    """Train exactly, and at each step also ask the feature-level rule.

    Args:
        steps: Optimizer steps from random weights, with alpha 0.5.

    Returns:
        Per modality: cosine and norm ratio of the two combined encoder
        gradients over the steps on which either rule projected, and how
        often the two agree on whether there is a conflict.
    """
    root = Path(__file__).resolve().parents[1]
    config = resolve_protocol(Config.fromfile(root / 'configs' / _CONFIG))
    config.train_dataloader.update(num_workers=0, persistent_workers=False)
    loader = Runner.build_dataloader(config.train_dataloader, seed=0)
    torch.manual_seed(0)
    model = MODELS.build(config.model).train()
    exact = GMPOptimWrapper(torch.optim.Adam(model.parameters(), lr=5e-4))
    # A rate of zero: only its gradients are looked at.
    approximate = GMPOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.0), level='feature'
    )
    found: dict[str, list[dict[str, float]]] = {m: [] for m in model.encoders}
    done = 0
    while done < steps:
        for batch in loader:
            seen = [
                _gradients(model, wrapper, batch, done)
                for wrapper in (approximate, exact)
            ]
            for modality, rows in found.items():
                rows.append(_compare(modality, *seen))
            done += 1
            if done == steps:
                break
    return [
        {'modality': m, 'steps': steps, **_summary(rows)}
        for m, rows in found.items()
    ]


def _gradients(
    model: Any, wrapper: GMPOptimWrapper, batch: dict[str, Any], seed: int
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Make a step and return the gradients that the optimizer was given."""
    kept: dict[str, Tensor] = {}

    def keep(*_: Any) -> None:
        for modality, ps in model.trainable_encoder_parameters().items():
            kept[modality] = torch.cat([p.grad.flatten() for p in ps]).double()

    handle = wrapper.optimizer.register_step_pre_hook(keep)
    torch.manual_seed(seed)
    model.train_step(batch, wrapper)
    handle.remove()
    return kept, wrapper.read_diagnostics()


def _compare(
    modality: str,
    first: tuple[dict[str, Tensor], dict[str, float]],
    second: tuple[dict[str, Tensor], dict[str, float]],
) -> dict[str, float]:
    a, b = first[0][modality], second[0][modality]
    conflict = [x[1][f'conflict_{modality}'] for x in (first, second)]
    return {
        'cosine': torch.cosine_similarity(a, b, dim=0).item(),
        'norm': (a.norm() / b.norm()).item(),
        'agree': float(conflict[0] == conflict[1]),
        'conflict': conflict[1],
        'projected': max(conflict),
    }


def _summary(rows: list[dict[str, float]]) -> dict[str, float]:
    projected = [row for row in rows if row['projected']] or rows
    return {
        'exact conflicts': statistics.mean(r['conflict'] for r in rows),
        'same decision': statistics.mean(r['agree'] for r in rows),
        'median cosine': statistics.median(r['cosine'] for r in projected),
        'lowest cosine': min(r['cosine'] for r in projected),
        'median norm ratio': statistics.median(r['norm'] for r in projected),
    }
