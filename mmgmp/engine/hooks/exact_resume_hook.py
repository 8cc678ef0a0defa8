"""A resumed run gives the weights of one that was never stopped."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmgmp.registry import HOOKS
from mmgmp.utils.compat.private_names import update_val_interval
from mmgmp.utils.seeding import SeededBatches, seed_all, seeded_loader

_KEY = 'exact_resume'
_MODEL, _DATA = 0, 1


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Make random numbers and data follow from the position in the run.

    MMEngine restores weights, optimizer and schedules, but no random
    generator; it starts the epoch of a checkpoint from its first batch and
    forgets a validation that was cut short. With this hook

    - what an iteration draws (dropout, say) depends on the seed and the
      iteration; on the rank only with ``randomness.diff_rank_seed=True``;
    - what the augmentation of a sample draws depends on the seed, the epoch
      and the sample's place in the epoch: not on the number of workers, nor,
      with MMEngine's samplers, of ranks. Without it, MMEngine's workers
      start every epoch from the same random numbers;
    - a checkpoint from within an epoch (``CheckpointHook(by_epoch=False)``)
      resumes at the next batch; those before are passed over, not loaded;
    - a validation that the checkpoint knows nothing of is made up for, so
      that the best checkpoint is the best one.

    Nothing has to be collected from the ranks, for nothing random is stored.
    It needs an ``EpochBasedTrainLoop``; iterations of other loops are seeded
    alike, their data loading is left to MMEngine.

    Raises:
        ValueError: If a run is resumed within an epoch whose batches have
            changed.

    Example:
        >>> hook = dict(type='ExactResumeHook')  # in default_hooks
        >>> HOOKS.build(hook).priority
        'LOWEST'
    """

    # Behind all other hooks: each event ends with fresh random numbers, and
    # the validation that is made up for finds every hook prepared.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None
        self._batches: SeededBatches | None = None
        self._validated = -1
        self._epoch_start: int | None = None

    # -- checkpoints ------------------------------------------------------

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note where the run is.

        Args:
            runner: Runner of the training.
            checkpoint: What is about to be written.
        """
        meta = checkpoint['meta']
        is_inside = (
            self._epoch_start is not None and meta['epoch'] == runner.epoch
        )
        samplers = _seeded_samplers(runner.train_dataloader)
        checkpoint[_KEY] = {
            'position': meta['iter'] - self._epoch_start if is_inside else 0,
            'batches': len(runner.train_dataloader),
            'validated': self._validated,
            'sampler_seed': samplers[0].seed if samplers else None,
        }

    def after_load_checkpoint(
        self,
        runner: Runner,  # noqa: ARG002
        checkpoint: dict,
    ) -> None:
        """Read where the run was.

        Args:
            runner: Not used.
            checkpoint: What was read.
        """
        self._loaded = checkpoint.get(_KEY)

    # -- the run ----------------------------------------------------------

    def before_train(self, runner: Runner) -> None:
        """Seed the data, and validate if the last epoch has not been.

        Args:
            runner: Runner of the training.
        """
        loop = runner.train_loop
        is_resumed = runner.iter > 0
        if not is_resumed:
            self._loaded = None
        if is_resumed and self._loaded is None:
            print_log(
                'The checkpoint was written without ExactResumeHook: what '
                'follows is repeatable, but not what would have followed',
                logger='current',
                level=logging.WARNING,
            )
        self._restore_samplers(runner)
        if isinstance(loop, EpochBasedTrainLoop):
            self._seed_loader(runner)
        self._mark(runner, runner.iter)
        if is_resumed and self._owes_validation(runner):
            runner.logger.info(
                f'Validating epoch {runner.epoch}, which the checkpoint had '
                'not seen validated'
            )
            runner.val_loop.run()

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the epoch's data, behind what has been trained on.

        Args:
            runner: Runner of the training.
        """
        position = self._resumed_position(runner)
        self._epoch_start = runner.iter - position
        if self._batches is not None:
            self._batches.start(_DATA, runner.epoch, skip=position)

    def before_train_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
    ) -> None:
        """Seed the iteration, after its batch may have been loaded here.

        Args:
            runner: Runner of the training.
            batch_idx: Not used.
            data_batch: Not used.
        """
        self._seed(runner, runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
        outputs: dict | None = None,  # noqa: ARG002
    ) -> None:
        """Seed what comes before the next iteration.

        Args:
            runner: Runner of the training.
            batch_idx: Not used.
            data_batch: Not used.
            outputs: Not used.
        """
        self._seed(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Leave the epoch.

        Args:
            runner: Runner of the training.
        """
        self._epoch_start = None
        self._mark(runner, runner.iter)

    def before_val(self, runner: Runner) -> None:
        """Remember that this epoch is validated.

        A checkpoint is written within a validation only after its metrics.

        Args:
            runner: Runner of the training.
        """
        self._validated = runner.epoch

    def after_val(self, runner: Runner) -> None:
        """Draw as if there had been no validation.

        Args:
            runner: Runner of the training.
        """
        if self._batches is not None:
            self._mark(runner, runner.iter)

    # -- parts ------------------------------------------------------------

    def _seed(self, runner: Runner, iteration: int) -> None:
        # Alike on all ranks, as MMEngine has it: a hook that draws new
        # weights must draw the same everywhere. The seed itself differs
        # with randomness.diff_rank_seed=True.
        seed_all(runner.seed, _MODEL, iteration)

    def _mark(self, runner: Runner, iteration: int) -> None:
        """Between epochs: other hooks may draw, or go through the data."""
        self._seed(runner, iteration)
        if self._batches is not None:
            self._batches.start(_DATA, iteration, 0)

    def _restore_samplers(self, runner: Runner) -> None:
        """With no seed in the config, MMEngine gives the sampler a new one."""
        seed = (self._loaded or {}).get('sampler_seed')
        if seed is not None:
            for sampler in _seeded_samplers(runner.train_dataloader):
                sampler.seed = seed

    def _seed_loader(self, runner: Runner) -> None:
        loader = seeded_loader(
            runner.train_dataloader,
            runner.seed,
            runner.rank,
            runner.world_size,
        )
        if loader is None:
            print_log(
                'ExactResumeHook cannot seed the samples of a '
                f'{type(runner.train_dataloader).__name__} without a batch '
                'sampler; resuming repeats the weights only if nothing in '
                'its data is random',
                logger='current',
                level=logging.WARNING,
            )
            return
        batches: Any = loader.batch_sampler
        self._batches = batches
        runner.train_loop.dataloader = loader

    def _owes_validation(self, runner: Runner) -> bool:
        loop, loaded = runner.train_loop, self._loaded or {}
        if (
            runner.val_loop is None
            or not isinstance(loop, EpochBasedTrainLoop)
            or loaded.get('position', 0)
            or loaded.get('validated') == runner.epoch
        ):
            return False
        update_val_interval(loop)
        return loop.epoch >= max(loop.val_begin, 1) and (
            loop.epoch % loop.val_interval == 0
            or loop.epoch == loop.max_epochs
        )

    def _resumed_position(self, runner: Runner) -> int:
        """Batches of this epoch that the checkpoint was trained on."""
        loaded, self._loaded = self._loaded or {}, None
        position = int(loaded.get('position', 0))
        is_by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if not position or not is_by_epoch:
            return 0
        batches = len(runner.train_dataloader)
        if batches != loaded['batches'] or self._batches is None:
            raise ValueError(
                'resume within an epoch needs the batches that the '
                f'checkpoint was written with, {loaded["batches"]} per '
                f'epoch, and a batch sampler, got {batches} from '
                f'{type(runner.train_dataloader).__name__}; restore '
                'train_dataloader and the number of ranks, or resume from '
                "the checkpoint of an epoch's end"
            )
        runner.logger.info(
            f'Passing over the {position} of {batches} batches of epoch '
            f'{runner.epoch + 1} that have been trained on; the log counts '
            'from here'
        )
        return position


def _seeded_samplers(loader: Any) -> list[Any]:
    """Samplers of a loader that shuffle by a seed of their own."""
    found = [loader.sampler, getattr(loader.batch_sampler, 'sampler', None)]
    return [s for s in found if isinstance(getattr(s, 'seed', None), int)]
