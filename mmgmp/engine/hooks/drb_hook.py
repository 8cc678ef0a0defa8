"""Diagnosing and re-learning: pull over-trained encoders back."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast_object_list
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from mmgmp.engine.hooks.drb_diagnosis import (
    Features,
    collect_features,
    pull_back,
    purity,
    rescale,
)
from mmgmp.registry import HOOKS
from mmgmp.structures import EncodingModel
from mmgmp.utils import log_names
from mmgmp.utils.checks import check_choice
from mmgmp.utils.plain_loading import without_augmentation

_KEY = 'drb_hook'
_ORDERS = ('after_validation', 'before_validation')


@HOOKS.register_module()
class DRBHook(Hook):
    """Re-initialise each encoder softly, by how over-trained it is.

    After certain epochs the features of each encoder are clustered on the
    training and on the validation data. The gap ``g`` between the purities of
    the two is the encoder's learning state; its trainable parameters are
    pulled towards those at the start of training by ``tau = tanh(mu * g)``:
    ``theta <- tau * theta_0 + (1 - tau) * theta``. Buffers and heads are left
    alone.

    An epoch is validated, and its checkpoint written and selected, with the
    weights that it was trained to; the pull comes after that, before the next
    epoch, and not at all after the last one.

    theta_0 is taken after pretrained weights were loaded [choice]. It is in
    the checkpoint with the number of re-initialisations done, which makes
    checkpoints larger by the size of the encoders.

    The training data are read in eval mode and without augmentation [choice;
    the authors use the shuffled training loader]. Clustering runs on rank 0.

    Args:
        mu: Strength, > 0.
        interval: Epochs between re-initialisations, >= 1. They happen after
            the 0-based epochs ``interval``, ``2 * interval``, ...
        order: ``'after_validation'``, as the authors do, or
            ``'before_validation'``: then the checkpoints of these epochs hold
            pulled weights and are selected by them.
        times: How many there are, >= 1. The authors' values are interval 20
            and times 3 for 90 epochs; runs of 20 epochs should use 5 and 3.
        num_restarts: Restarts of K-means, >= 1.
        seed: Of K-means.
        reset_optimizer_state: Whether the optimizer forgets its moments of
            the encoder parameters.
        train_dataloader: Config of the loader that reads the training data
            for the diagnosis. None takes ``train_dataloader`` with the
            pipeline of ``val_dataloader``, in order and to the last sample.

    Raises:
        ValueError: If an argument is out of range, the model, loop or data
            do not fit, or a run is resumed that began without this hook.

    Example:
        >>> hook = DRBHook(interval=20, times=3)
        >>> [epoch for epoch in range(90) if hook.is_due(epoch, epoch // 21)]
        [20, 40, 60]

    Source: Diagnosing and Re-learning for Balanced Multimodal Learning, Wei
    et al., ECCV 2024 (arXiv 2407.09705), and released code.
    """

    #: The settings check wants none of the tested clips among them.
    trains_by_validation = True

    def __init__(
        self,
        mu: float = 3.0,
        interval: int = 5,
        times: int = 3,
        num_restarts: int = 10,
        seed: int = 0,
        reset_optimizer_state: bool = False,
        train_dataloader: Mapping[str, Any] | None = None,
        order: str = 'after_validation',
    ) -> None:
        check_choice('order', order, _ORDERS, 'set order of DRBHook')
        for name, value in (
            ('mu', mu),
            ('interval', interval),
            ('times', times),
            ('num_restarts', num_restarts),
        ):
            if value <= 0:
                raise ValueError(
                    f'{name} must be > 0, got {value}; set {name} of DRBHook'
                )
        self.mu = mu
        self.interval = interval
        self.times = times
        self.num_restarts = num_restarts
        self.seed = seed
        self.reset_optimizer_state = reset_optimizer_state
        self.train_dataloader = train_dataloader
        self.order = order
        self.done = 0
        self._last_epoch = -1
        self._initial: dict[str, list[Tensor]] = {}
        self._restored: dict[str, Any] | None = None

    # -- as a hook --------------------------------------------------------

    def before_train(self, runner: Runner) -> None:
        """Keep the weights that training starts from, or started from.

        Args:
            runner: Runner of the training.
        """
        model = _encoding_model(runner)
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError(
                'DRBHook counts epochs, got '
                f'{type(runner.train_loop).__name__}; set '
                "train_cfg.type='EpochBasedTrainLoop'"
            )
        if runner.val_loop is None:
            raise ValueError(
                'DRBHook needs validation data, got none; set '
                'val_dataloader, val_evaluator and val_cfg'
            )
        self._start_from(runner.iter, _parameters(model))

    def _start_from(
        self,
        iteration: int,
        parameters: Mapping[str, Sequence[torch.nn.Parameter]],
    ) -> None:
        """Keep these weights if training begins, else take those kept."""
        if iteration == 0:
            self.done, self._last_epoch = 0, -1
            self._initial = {
                modality: [p.detach().clone() for p in group]
                for modality, group in parameters.items()
            }
        elif self._restored is None:
            raise ValueError(
                'DRBHook needs the weights that training started from, got a '
                'checkpoint without them; resume a run that had this hook, '
                'or start with load_from'
            )
        else:
            self.done = int(self._restored['done'])
            # Checkpoints of before this was kept: one every interval.
            last = self.done * self.interval if self.done else -1
            self._last_epoch = self._restored.get('last_epoch', last)
            self._initial = _fitting(self._restored, parameters)

    def before_train_epoch(self, runner: Runner) -> None:
        """Act after the epoch before, which has been validated by now.

        Here and not after the validation itself, so that a run resumed from
        that epoch's checkpoint acts as well.

        Args:
            runner: Runner of the training.
        """
        if self.order == 'after_validation':
            self._act(runner, runner.epoch - 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Act before this epoch is validated, if the order says so.

        Args:
            runner: Runner of the training.
        """
        if self.order == 'before_validation':
            self._act(runner, runner.epoch)

    def _act(self, runner: Runner, epoch: int) -> None:
        """Diagnose and re-initialise, if it is time."""
        # A run resumed within an epoch comes by once more.
        if epoch == self._last_epoch or not self.is_due(epoch, self.done):
            return
        gaps = self.diagnose(runner)
        for modality, parameters in _parameters(
            _encoding_model(runner)
        ).items():
            strength = math.tanh(self.mu * gaps[modality])
            pull_back(parameters, self._initial[modality], strength)
            if self.reset_optimizer_state:
                for parameter in parameters:
                    runner.optim_wrapper.optimizer.state.pop(parameter, None)
            name = log_names.of_modality(log_names.REINITIALISATION, modality)
            runner.message_hub.update_scalar(
                log_names.in_training(name), strength
            )
            runner.logger.info(
                f'DRBHook: encoder {modality!r} has a purity gap of '
                f'{gaps[modality]:.4f}, pulled back by {strength:.4f}'
            )
        self.done += 1
        self._last_epoch = epoch

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add what is remembered.

        Args:
            runner: Not used.
            checkpoint: The checkpoint.
        """
        del runner
        initial = {
            modality: [start.cpu() for start in starts]
            for modality, starts in self._initial.items()
        }
        checkpoint[_KEY] = {
            'done': self.done,
            'last_epoch': self._last_epoch,
            'initial': initial,
        }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep what was remembered until it is known to be a resumed run.

        Args:
            runner: Not used.
            checkpoint: The checkpoint.
        """
        del runner
        self._restored = checkpoint.get(_KEY)

    # -- the parts --------------------------------------------------------

    def is_due(self, epoch: int, done: int) -> bool:
        """Return whether to act after an epoch.

        Args:
            epoch: 0-based epoch that has ended.
            done: Re-initialisations so far.
        """
        return epoch > 0 and epoch % self.interval == 0 and done < self.times

    def diagnose(self, runner: Runner) -> dict[str, float]:
        """Return each encoder's gap between the purities, in [0, 1].

        Args:
            runner: Runner of the training.
        """
        model = _encoding_model(runner)
        purities = []
        for loader in (
            self._training_data(runner),
            runner.val_loop.dataloader,
        ):
            collected = collect_features(model, loader)
            purities.append(self._purities(collected, model.num_classes))
        gaps = [{m: abs(p - purities[1][m]) for m, p in purities[0].items()}]
        broadcast_object_list(gaps)
        return gaps[0]

    def _purities(
        self,
        collected: tuple[Features, NDArray[np.int64]] | None,
        num_classes: int,
    ) -> dict[str, float]:
        if collected is None:
            return {}
        from sklearn.cluster import KMeans

        by_modality, labels = collected
        purities = {}
        for modality, features in by_modality.items():
            if len(features) < num_classes:
                raise ValueError(
                    f'DRBHook makes {num_classes} clusters, one per class, '
                    f'got {len(features)} samples; use a larger split, or '
                    'drop the hook'
                )
            if not np.isfinite(features).all():
                raise ValueError(
                    'DRBHook clusters finite features, got others from the '
                    f'encoder {modality!r}; the run has diverged: lower the '
                    'learning rate or set optim_wrapper.clip_grad'
                )
            clusters = KMeans(
                num_classes, n_init=self.num_restarts, random_state=self.seed
            ).fit_predict(rescale(features))
            purities[modality] = purity(labels, clusters)
        return purities

    def _training_data(self, runner: Runner) -> Any:
        config = self.train_dataloader
        if config is None:
            config = without_augmentation(runner.cfg, type(self).__name__)
        if isinstance(config, DataLoader):
            return config
        return runner.build_dataloader(copy.deepcopy(config), seed=runner.seed)


def _encoding_model(runner: Runner) -> Any:
    model = runner.model
    model = model.module if is_model_wrapper(model) else model
    if not isinstance(model, EncodingModel):
        raise ValueError(
            'DRBHook needs a model with encoders, got '
            f"{type(model).__name__}; use model.type='AudioVisualRecognizer'"
        )
    return model


def _parameters(model: Any) -> Mapping[str, Sequence[torch.nn.Parameter]]:
    parameters: Mapping[str, Sequence[torch.nn.Parameter]] = (
        model.trainable_encoder_parameters()
    )
    return parameters


def _fitting(
    restored: Mapping[str, Any],
    parameters: Mapping[str, Sequence[torch.nn.Parameter]],
) -> dict[str, list[Tensor]]:
    """Initial weights of a checkpoint, if they are those of this model."""
    initial: dict[str, list[Tensor]] = restored['initial']
    found = {m: [tuple(p.shape) for p in ps] for m, ps in initial.items()}
    wanted = {m: [tuple(p.shape) for p in ps] for m, ps in parameters.items()}
    if found != wanted:
        raise ValueError(
            'DRBHook needs the weights that training started from for '
            f'encoders {sorted(wanted)}, got others for {sorted(found)}; '
            'resume with the model and frozen_stages of the checkpoint'
        )
    return initial
