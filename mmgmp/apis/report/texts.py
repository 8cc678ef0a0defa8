"""The sentences that must stand beside the numbers of a report."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmgmp.apis.report.published import describe_source
from mmgmp.apis.report.results import DONE, FAILED, REPORTED, Results
from mmgmp.apis.report.words import axis_notes

SYNTHETIC = (
    'SYNTHETIC corpus: rendered, not recorded. These numbers show that '
    'everything runs; they say nothing about the methods on real data.'
)
STATISTICS = (
    'Numbers in %, mean ± sample standard deviation over n seeds. Differences '
    'are paired by seed (same split, initial weights and data order); in '
    "brackets the 95 % interval of Student's t over the pairs. Intervals are "
    'not corrected for the number of comparisons.'
)
NOT_COMPARABLE = (
    'The published numbers are of a recorded corpus and NOT comparable with '
    'the measured ones.'
)
ORACLE = (
    'ORACLE selection looks at the target and is no result of a method; it '
    'is listed to show how much selection on the source gives away.'
)
RATIOS = (
    'How far a modality is ahead of the others in classification (semantic '
    'ratio) and in telling the domains apart (domain ratio), on the training '
    'batches of the last epoch; 1 is balance. Mean ± sample standard '
    'deviation over targets and seeds.'
)
#: Stands behind the name of a method whose averaged weights are tested.
AVERAGED = '†'
#: Stands behind the name of a method that is trained on the target as well.
TRAINED_ON_TARGET = '‡'
#: Stands behind the name of a method that no domain is unseen by.
IN_DOMAIN = '§'
#: A note with one of these is a warning.
LOUD = ('SYNTHETIC', 'NOT', 'FAILED')


def headline(results: Results) -> str:
    """Return title, corpus and how complete the results are."""
    return (
        f'{results.plan.title}: {results.corpus}, {results.num_done} of '
        f'{len(results.cells)} cells done'
    )


def shown_name(results: Results, method: str) -> str:
    """Return the name of a method, marked as averaged, oracle, in domain."""
    marks = [
        *([AVERAGED] if method in results.averaged else []),
        *([TRAINED_ON_TARGET] if method in results.oracles else []),
        *([IN_DOMAIN] if method in results.in_domain else []),
    ]
    return ' '.join([method, *marks])


def notes(results: Results) -> Iterator[str]:
    """Yield the sentences that must stand beside the numbers."""
    plan = results.plan
    if plan.synthetic:
        yield SYNTHETIC
    yield from axis_notes(plan, is_in_domain(results))
    yield STATISTICS
    if plan.search is not None:
        yield (
            f'Hyper-parameters: the default and {plan.search.trials} drawn '
            'configurations per method and target; source validation chose '
            f'one, which was run again with {plan.search.reruns} new seeds. '
            'The chosen trials have different seeds and are left out of the '
            'pairs where no other method shares theirs.'
        )
    if averaged := results.averaged:
        rows = '; '.join(f'{name} ({how})' for name, how in averaged.items())
        yield (
            f'{AVERAGED} Averaged weights are validated and tested: {rows}. '
            'Averaging alone gains accuracy; compare with averaged rows.'
        )
    if oracles := results.oracles:
        yield (
            f'{TRAINED_ON_TARGET} Oracle, trained on the target too: '
            f'{"; ".join(oracles)}. An upper bound and NOT a result of '
            'domain generalisation. protocol.oracle tests those clips of '
            'the target that it has not trained on, which may be fewer than '
            'in the other rows.'
        )
    if results.in_domain:
        yield (
            f'{IN_DOMAIN} In domain: {"; ".join(results.in_domain)}. Tested '
            'on other clips of the domains that are trained on: no domain is '
            'unseen, and this is NOT a result of domain generalisation.'
        )
    for name, method in plan.methods.items():
        if (spec := method.ensemble) is not None:
            how = f'the mean {spec.space} of {" and ".join(spec.members)}'
            chosen = spec.weights == 'validation'
            weights = ', weights chosen on source validation' if chosen else ''
            yield f'{name} trains nothing: {how}{weights}.'
    yield from results.remarks
    yield from _gaps(results)
    if plan.published:
        yield f'Published: {describe_source(plan.published)}.'
    if plan.published and plan.synthetic:
        yield NOT_COMPARABLE


def is_in_domain(results: Results) -> bool:
    """Return whether no row has an unseen domain."""
    return set(results.in_domain) == set(results.plan.methods)


def _gaps(results: Results) -> Iterator[str]:
    """Say what the tables lack."""
    cells, numbers = results.cells, results.numbers
    if num_failed := int((cells['state'] == FAILED).sum()):
        yield (
            f'{num_failed} cells FAILED, see below; the tables hold what '
            'they did before.'
        )
    tested = cells.index[
        (cells['state'] == DONE) & cells['role'].isin(REPORTED)
    ]
    for heading, key in results.plan.metrics.items():
        values = numbers[
            (numbers['metric'] == key) & numbers['cell'].isin(tested)
        ]['value']
        num_undefined = int((~np.isfinite(values)).sum())
        if len(tested) and not len(values):
            yield f'No finished cell reports {key} ({heading}).'
        elif num_undefined:
            yield (
                f'{heading} is NOT defined in {num_undefined} cells, which '
                'are left out of it.'
            )
