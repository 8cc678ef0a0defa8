"""Class prototypes from a part of the training data, before each epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor

from mmgmp.registry import HOOKS
from mmgmp.structures import PrototypeMethod
from mmgmp.utils.plain_loading import without_augmentation


@HOOKS.register_module()
class PrototypeHook(Hook):
    """Give methods with class prototypes the features to make them of.

    Before each epoch a part of the training data is encoded in eval mode,
    without augmentation and in an order drawn anew, each rank its share. A
    run that goes on within an epoch keeps the prototypes of that epoch.

    Args:
        fraction: Part of the batches, in (0, 1].
        train_dataloader: Config of the loader. None takes
            ``train_dataloader`` with the pipeline of ``val_dataloader``.

    Raises:
        ValueError: If ``fraction`` is out of range; at the start of training,
            if no method has prototypes, or the loop does not count epochs.

    Example:
        >>> PrototypeHook(fraction=0.1).fraction
        0.1

    Source: PMR (arXiv 2211.07089) [release]: a tenth of the batches.
    """

    def __init__(
        self,
        fraction: float = 0.1,
        train_dataloader: Mapping[str, Any] | None = None,
    ) -> None:
        if not 0 < fraction <= 1:
            raise ValueError(
                f'fraction must be in (0, 1], got {fraction}; set fraction '
                'of PrototypeHook'
            )
        self.fraction = fraction
        self.train_dataloader = train_dataloader
        self._loader: Any = None

    def before_train(self, runner: Runner) -> None:
        """Check that there is something to do.

        Args:
            runner: Runner of the training.
        """
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError(
                'PrototypeHook counts epochs, got '
                f'{type(runner.train_loop).__name__}; set '
                "train_cfg.type='EpochBasedTrainLoop'"
            )
        if not _methods(runner):
            raise ValueError(
                'PrototypeHook needs a method with prototypes, got none; add '
                "dict(type='PMRMethod') to model.methods, or drop the hook"
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Make the prototypes of this epoch.

        Args:
            runner: Runner of the training.
        """
        for method in _methods(runner):
            if int(method.epoch) != runner.epoch:
                sums, counts = self._encode(runner, method)
                for tensor in (*sums.values(), counts):
                    all_reduce(tensor)
                method.update(sums, counts)
                method.epoch.fill_(runner.epoch)

    @torch.no_grad()
    def _encode(
        self, runner: Runner, method: PrototypeMethod
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Sums of features by class over a part of the data, and counts."""
        model: Any = _unwrapped(runner)
        loader = self._data(runner)
        loader.sampler.set_epoch(runner.epoch)
        batches = math.ceil(self.fraction * len(loader))
        total: list[Tensor] = []
        was_training = model.training
        model.eval()
        # Later draws must not depend on how many batches are read here.
        with torch.random.fork_rng(devices=[]):
            for data in islice(loader, batches):
                data = model.data_preprocessor(data, False)
                features = model.extract_feat(data['inputs'])
                labels = torch.cat([s.gt_label for s in data['data_samples']])
                labels = labels.to(next(iter(features.values())).device)
                sums, counts = method.sums(features, labels)
                parts = [*sums.values(), counts]
                total = (
                    [a + b for a, b in zip(total, parts, strict=True)]
                    if total
                    else parts
                )
        model.train(was_training)
        return dict(zip(features, total[:-1], strict=True)), total[-1]

    def _data(self, runner: Runner) -> Any:
        if self._loader is None:
            given = self.train_dataloader
            config = copy.deepcopy(
                without_augmentation(runner.cfg, type(self).__name__)
                if given is None
                else dict(given)
            )
            config['sampler'] = dict(type='DefaultSampler', shuffle=True)
            self._loader = runner.build_dataloader(config, seed=runner.seed)
        return self._loader


def _unwrapped(runner: Runner) -> Any:
    model = runner.model
    return model.module if is_model_wrapper(model) else model


def _methods(runner: Runner) -> list[PrototypeMethod]:
    methods = getattr(_unwrapped(runner), 'methods', ())
    return [m for m in methods if isinstance(m, PrototypeMethod)]
