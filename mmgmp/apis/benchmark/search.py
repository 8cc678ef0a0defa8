"""Hyper-parameter search of a plan, as Optuna studies in its work directory.

One study per method, modality set and target, all in ``search.log``: a search
that was cut off goes on where it stopped, and Optuna's own dashboard can read
it (``optuna-dashboard WORK_DIR/search.log``).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from mmgmp.apis.benchmark.plan import Search

Settings = dict[str, Any]


def select_trial(accuracies: Sequence[float]) -> int:
    """Choose the configuration with the best source validation.

    Of equal ones the first, so that the default configuration wins a tie. The
    published protocol asks the validation loss first, which the stock
    validation loop does not compute [choice].

    Example:
        >>> select_trial([0.5, 0.75, 0.75])
        1
    """
    return int(np.argmax(accuracies))


class Study:
    """The trials of one method on one target.

    Trial 0 is the default configuration. The others are drawn uniformly in
    steps of 0.1 (``sampler: random``, all at once), or by Optuna's TPE from
    the accuracies so far (``sampler: tpe``, one after the other once
    ``startup`` are trained). What a trial draws depends on the seed of the
    search, the study and the trial's number, not on who asks when.

    Source: MMDG-Bench (arXiv 2605.06643), for the random search; the steps
    are exact multiples of 0.1 where the released script rounds.
    """

    def __init__(
        self,
        work_dir: Path,
        name: str,
        search: Search,
        space: Mapping[str, Any],
    ) -> None:
        self.name = name
        self.search = search
        self._study = _open_study(work_dir, name)
        self._space = {key: _distribution(s) for key, s in space.items()}
        self._lock = FileLock(work_dir / '.search.lock')
        text = f'{self._space} {search.sampler} {search.seed}'
        found = self._study.user_attrs.get('space')
        if found is None:
            self._study.set_user_attr('space', text)
        elif found != text:
            raise ValueError(
                f'{work_dir} must hold a search of this plan, got another '
                f'space, sampler or seed for {name}: {found} instead of '
                f'{text}; name another --work-dir'
            )

    def settings(self) -> list[Settings]:
        """Return what each trial that can be named by now sets."""
        every, trials = self.search.trials + 1, self._trials()
        wanted = every
        if self.search.sampler == 'tpe':
            num_told = sum(trial.state.is_finished() for trial in trials)
            is_due = num_told >= max(len(trials), self.search.startup)
            wanted = max(self.search.startup, len(trials) + is_due)
        if len(trials) < min(every, wanted):
            # Another runner may be asking for the same trials.
            with self._lock:
                while len(self._trials()) < min(every, wanted):
                    self._ask()
        return [
            # A multiple of 0.1 has a tail of digits in binary.
            {
                name: round(value, 10) if isinstance(value, float) else value
                for name, value in trial.params.items()
            }
            for trial in self._trials()[:every]
        ]

    def tell(self, number: int, accuracy: float) -> None:
        """Hand in the source validation of a trained trial; again is fine."""
        if not self._trials()[number].state.is_finished():
            self._study.tell(number, accuracy, skip_if_finished=True)

    def _trials(self) -> list[Any]:
        found: list[Any] = self._study.get_trials(deepcopy=False)
        return found

    def _ask(self) -> None:
        from optuna.samplers import RandomSampler, TPESampler

        number = len(self._trials())
        seed = zlib.crc32(f'{self.search.seed}/{self.name}/{number}'.encode())
        self._study.sampler = (
            RandomSampler(seed)
            if self.search.sampler == 'random'
            else TPESampler(n_startup_trials=self.search.startup, seed=seed)
        )
        self._study.ask(self._space if number else {})


def _distribution(span: Any) -> Any:
    from optuna import distributions

    if isinstance(span, Mapping):
        return distributions.CategoricalDistribution(span['choices'])
    low, high = span
    return distributions.FloatDistribution(low, high, step=0.1)


@lru_cache(maxsize=1024)
def _open_study(work_dir: Path, name: str) -> Any:
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise ValueError(
            'a plan with a search needs Optuna, which is not installed; '
            "pip install 'mmgmp[search]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    work_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(work_dir / '.search.lock'):
        path = work_dir / 'search.log'
        try:
            return optuna.create_study(
                study_name=name,
                storage=JournalStorage(JournalFileBackend(str(path))),
                direction='maximize',
                load_if_exists=True,
            )
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(
                f'{path} is damaged ({error!r}); delete it: the same trials '
                'are drawn again, and what is trained is kept'
            ) from error
