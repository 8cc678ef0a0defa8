"""Do the settings of a run fit the data, the model and the checkpoint?

Pure rules on plain facts. Who gathers the facts: ``mmgmp.engine.settings``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mmgmp.utils.settings.checkpoint_rules import (
    KEY,
    TrainedOn,
    check_resumed,
    check_target,
    check_tested,
    check_weights,
)
from mmgmp.utils.settings.data_rules import check_loaders, check_protocol
from mmgmp.utils.settings.facts import (
    ERROR,
    WARNING,
    DataFacts,
    LoaderFacts,
    ModelFacts,
    Problem,
    RunFacts,
    ScheduleFacts,
)
from mmgmp.utils.settings.model_rules import check_model, check_schedule

__all__ = [
    'ERROR',
    'KEY',
    'RULES',
    'WARNING',
    'DataFacts',
    'LoaderFacts',
    'ModelFacts',
    'Problem',
    'RunFacts',
    'ScheduleFacts',
    'TrainedOn',
    'check_resumed',
    'check_run',
    'check_target',
    'check_tested',
    'check_weights',
    'excuse',
    'refuse',
]

#: Names of all rules; ``docs/checks.md`` explains them.
RULES = (
    'annotation',
    'batch',
    'checkpoint-classes',
    'checkpoint-modalities',
    'checkpoint-resume',
    'checkpoint-source',
    'checkpoint-target',
    'checkpoint-weights',
    'classes',
    'corpus',
    'domains',
    'drop-last',
    'empty-class',
    'empty-domain',
    'foreign-domains',
    'load-from',
    'modalities',
    'num-classes',
    'num-domains',
    'one-domain',
    'overlap',
    'pipeline',
    'save-best',
    'schedule',
    'selection',
    'shuffle',
    'strategy',
    'target-among-sources',
    'teacher',
    'topk',
)


def check_run(facts: RunFacts) -> list[Problem]:
    """Apply all rules that need no checkpoint.

    Args:
        facts: Of the run.

    Returns:
        Everything that is wrong, in the order of the data's way.

    Example:
        >>> check_run(RunFacts(missing_checkpoint='a.pth'))[0].rule
        'load-from'
    """
    problems = []
    if facts.missing_checkpoint:
        problems.append(
            Problem(
                'load-from',
                'load_from must be a checkpoint, got '
                f'{facts.missing_checkpoint}, which does not exist',
            )
        )
    known = facts.test.all_domains if facts.test else ()
    absent = [d for d in facts.foreign_domains if d not in known]
    if absent and known:
        problems.append(
            Problem(
                'foreign-domains',
                'test_evaluator.foreign_domains must be domains of '
                f'test_dataloader {list(known)}, got {absent}; correct it',
            )
        )
    for rules in (check_loaders, check_protocol, check_model, check_schedule):
        problems += rules(facts)
    return problems


def excuse(problems: Iterable[Problem], rules: Sequence[str]) -> list[Problem]:
    """Make warnings of errors that were asked not to stop a run.

    Args:
        problems: What was found.
        rules: Names of rules.

    Example:
        >>> excuse([Problem('overlap', 'text')], ['overlap'])[0].severity
        'warning'
    """
    return [
        replace(p, severity=WARNING) if p.rule in rules else p
        for p in problems
    ]


def refuse(problems: Iterable[Problem]) -> None:
    """Raise the errors among problems, all at once.

    Args:
        problems: What was found.

    Raises:
        ValueError: If there is an error.

    Example:
        >>> refuse([Problem('batch', 'small', WARNING)])
    """
    errors = [problem for problem in problems if problem.severity == ERROR]
    if len(errors) == 1:
        raise ValueError(errors[0].text)
    if errors:
        lines = [f'Error {i}: {e.text}' for i, e in enumerate(errors, 1)]
        raise ValueError(
            '\n'.join([f'{len(errors)} settings do not fit:', *lines])
        )
