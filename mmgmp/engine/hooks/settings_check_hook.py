"""Mistakes in the settings stop a run before its first step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from mmgmp.engine.settings import gather_facts
from mmgmp.registry import HOOKS
from mmgmp.utils.compat.private_names import has_built, is_resuming
from mmgmp.utils.settings import (
    ERROR,
    KEY,
    RULES,
    WARNING,
    Problem,
    RunFacts,
    TrainedOn,
    check_resumed,
    check_run,
    check_target,
    check_tested,
    check_weights,
    excuse,
    refuse,
)

_SEEN = ('checkpoint-target', 'selection', 'target-among-sources')


@HOOKS.register_module()
class SettingsCheckHook(Hook):
    """Compare config, annotation, model and checkpoint before they are used.

    ``docs/checks.md`` lists the rules. Errors are raised together, warnings
    logged. A training looks at its test set too: its annotation is read, no
    media file is opened. With :class:`CheckedRunner` the check comes before
    data loaders and schedules are built, with MMEngine's own after that.

    What a checkpoint was trained on is stored in it. It is refused where a
    target is one of its source domains, where its weights do not fit the
    model in a test, and where a resumed training would go on with other
    domains, classes or modalities.

    Args:
        allow_seen_target: Whether a domain may be tested, or select the
            checkpoint, that is trained on, as for an upper bound.
        ignore: Names of rules that only warn.

    Raises:
        ValueError: If a rule is unknown, or a setting breaks one.

    Example:
        >>> hook = dict(type='SettingsCheckHook', ignore=['overlap'])
        >>> HOOKS.build(hook).ignored
        ('overlap',)
    """

    # Before hooks that read the checkpoint, such as that of a teacher.
    priority = 'VERY_HIGH'

    def __init__(
        self, allow_seen_target: bool = False, ignore: Sequence[str] = ()
    ) -> None:
        unknown = [rule for rule in ignore if rule not in RULES]
        if isinstance(ignore, str) or unknown:
            raise ValueError(
                'ignore of SettingsCheckHook must be a list of rules among '
                f'{list(RULES)}, got {ignore!r}; correct '
                'default_hooks.settings'
            )
        self.ignored = (*ignore, *(_SEEN if allow_seen_target else ()))
        self._mode: str | None = None
        self._facts = RunFacts()
        self._trained: TrainedOn | None = None

    # -- before a run -----------------------------------------------------

    def before_build(self, runner: Runner, mode: str) -> None:
        """Check the settings.

        Args:
            runner: Runner, with nothing but its model built.
            mode: ``'train'``, ``'val'`` or ``'test'``.
        """
        self._mode, self._facts, self._trained = mode, RunFacts(), None
        if mode == 'val':
            return
        self._facts = gather_facts(runner.cfg, mode, runner.world_size)
        self._judge(runner, check_run(self._facts))
        self._trained = TrainedOn.from_facts(self._facts)

    def before_run(self, runner: Runner) -> None:
        """Check the settings if that has not been done.

        Args:
            runner: Runner, with its data loaders built.
        """
        if self._mode is None:
            self.before_build(runner, _mode(runner))

    def after_run(self, runner: Runner) -> None:  # noqa: ARG002
        """Forget what this run was.

        Args:
            runner: Not used.
        """
        self._mode = None

    # -- checkpoints ------------------------------------------------------

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Store what is trained on.

        Args:
            runner: Not used.
            checkpoint: What will be saved.
        """
        del runner
        if self._trained is not None:
            checkpoint['meta'][KEY] = self._trained.as_meta()

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Check a checkpoint before its weights reach the model.

        Args:
            runner: Runner of the training or test.
            checkpoint: What was read.
        """
        is_resumed = is_resuming(runner)
        is_test = self._mode == 'test'
        # Other weights than all of them are a choice where training starts.
        starts = self._mode == 'train' and not is_resumed
        severity = WARNING if starts else ERROR
        problems = list(self._check_weights(runner, checkpoint, severity))
        trained = TrainedOn.from_meta(checkpoint.get('meta') or {})
        if trained is None:
            if self._facts.targets:
                runner.logger.warning(
                    'The checkpoint does not say which domains it was '
                    'trained on, so it cannot be seen whether '
                    f'{list(self._facts.targets)} is unseen'
                )
        elif is_test:
            problems += check_tested(trained, self._facts)
        elif self._trained is not None:
            if is_resumed:
                problems += check_resumed(trained, self._trained)
            problems += check_target(trained, self._facts)
            self._trained = _with_seen(self._trained, trained)
        self._judge(runner, problems)

    # -- parts ------------------------------------------------------------

    def _judge(self, runner: Runner, problems: Iterable[Problem]) -> None:
        problems = excuse(problems, self.ignored)
        for problem in problems:
            if problem.severity == WARNING:
                runner.logger.warning(problem.text)
        refuse(problems)

    def _check_weights(
        self, runner: Runner, checkpoint: Mapping[str, Any], severity: str
    ) -> Iterable[Problem]:
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        stored = checkpoint.get('state_dict', checkpoint)
        return check_weights(
            _shapes(model.state_dict()),
            {
                # As MMEngine does when it loads them.
                name.removeprefix('module.'): shape
                for name, shape in _shapes(stored).items()
            },
            severity,
        )


def _mode(runner: Runner) -> str:
    """What MMEngine's runner is doing: of its loops it builds that one."""
    for mode in ('test', 'train', 'val'):
        if has_built(runner, mode):
            return mode
    return 'val'


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(value.shape)
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def _with_seen(now: TrainedOn, before: TrainedOn) -> TrainedOn:
    """Remember the domains of the checkpoint that a training starts from."""
    seen = dict.fromkeys([*now.sources, *before.seen_of(now.corpus)])
    return replace(now, seen=tuple(seen))
