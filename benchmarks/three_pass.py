"""A literal implementation of the rule, for comparison only.

Three backward passes (the summed loss for the heads, each task for the
encoders), decisions on the host, a loop over parameters: the way in which
such rules are usually written down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor

from mmgmp.structures import Task, get_task_losses


class ThreePassOptimWrapper(OptimWrapper):
    """GMP for two or more modalities, written down step by step."""

    def update_params(
        self,
        loss: Tensor,
        step_kwargs: dict | None = None,
        zero_kwargs: dict | None = None,
    ) -> None:
        """Differentiate three times and combine on the host.

        Args:
            loss: The summed loss with attached ``TaskLosses``.
            step_kwargs: Ignored.
            zero_kwargs: Ignored.
        """
        del step_kwargs, zero_kwargs
        tasks = get_task_losses(loss)
        loss.backward(retain_graph=True)
        flat = [p for ps in tasks.encoder_parameters.values() for p in ps]
        g_c = torch.autograd.grad(
            tasks.losses[Task.CLASSIFICATION], flat, retain_graph=True
        )
        g_d = torch.autograd.grad(tasks.losses[Task.DOMAIN], flat)
        start = 0
        for modality, parameters in tasks.encoder_parameters.items():
            stop = start + len(parameters)
            self._combine(
                parameters,
                g_c[start:stop],
                g_d[start:stop],
                self._ratio(tasks.confidences[Task.CLASSIFICATION], modality),
                1 / self._ratio(tasks.confidences[Task.DOMAIN], modality),
            )
            start = stop
        self._inner_count += 1
        self.step()
        self.zero_grad()

    @staticmethod
    def _ratio(confidences: Mapping[str, Tensor], modality: str) -> float:
        sums = {m: c.sum().item() for m, c in confidences.items()}
        own = sums.pop(modality)
        return own * len(sums) / sum(sums.values())

    @staticmethod
    def _combine(
        parameters: Sequence[Tensor],
        g_c: tuple[Tensor, ...],
        g_d: tuple[Tensor, ...],
        rho: float,
        sigma: float,
    ) -> None:
        k = 1 - math.tanh(0.5 * rho) if rho > 1 else 1.0
        p = 1 - math.tanh(0.5 * sigma) if sigma > 1 else 1.0
        g_c = tuple(k * g for g in g_c)
        g_d = tuple(p * g for g in g_d)
        dot = float(sum((c * d).sum() for c, d in zip(g_c, g_d, strict=True)))
        if dot < 0 and rho >= sigma:
            square = float(sum((d * d).sum() for d in g_d))
            g_c = tuple(
                c - dot / square * d for c, d in zip(g_c, g_d, strict=True)
            )
        elif dot < 0:
            square = float(sum((c * c).sum() for c in g_c))
            g_d = tuple(
                d - dot / square * c for c, d in zip(g_c, g_d, strict=True)
            )
        for parameter, c, d in zip(parameters, g_c, g_d, strict=True):
            parameter.grad = c + d
