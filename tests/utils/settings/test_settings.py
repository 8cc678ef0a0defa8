"""Each mistake breaks its rule, and that rule alone."""

from __future__ import annotations

import pytest

from mmgmp.utils.settings import (
    ERROR,
    RULES,
    WARNING,
    Problem,
    check_run,
    excuse,
    refuse,
)
from tests.utils.settings.sound_run import (
    data,
    loader,
    model,
    run,
    schedule,
)

ERRORS = {
    'target-among-sources': dict(test=loader('test', data('b', 'test'))),
    'selection': dict(val=loader('val', data('abc', 'test'))),
    'classes': dict(
        val=loader('val', data('ab', 'test', classes=('run', 'walk')))
    ),
    'overlap': dict(val=loader('val', data('ab'))),
    'num-classes': dict(model=model(num_classes={'model.num_classes': 3})),
    'num-domains': dict(
        model=model(num_domains={'model.domain_head.num_domains': 3})
    ),
    'one-domain': dict(
        train=loader('train', data('a')), val=loader('val', data('a', 'test'))
    ),
    'batch': dict(train=loader('train', data('ab'), batch_size=17)),
    'modalities': dict(
        val=loader('val', data('ab', 'test', modalities=('video',)))
    ),
    'pipeline': dict(train=loader('train', data('ab'), lists=('video',))),
    'drop-last': dict(test=loader('test', data('c', 'x'), drop_last=True)),
    'empty-domain': dict(test=loader('test', data('c', 'test', samples=()))),
    'save-best': dict(schedule=schedule(save_best=('acc/top5',))),
    'topk': dict(topk=5),
    'load-from': dict(missing_checkpoint='no.pth'),
    'foreign-domains': dict(foreign_domains=('d',)),
    'annotation': dict(val=loader('val', failure='no such label')),
    'domains': dict(
        test=loader(
            'test',
            domains=('humna',),
            ann_files=('elsewhere/test.json',),
            failure='no such file',
            is_missing=True,
        )
    ),
}
WARNINGS = {
    'selection': dict(val=loader('val', data('ba', 'test'))),
    'batch': dict(
        train=loader('train', data('ab'), batch_size=17, drop_last=False)
    ),
    'drop-last': dict(train=loader('train', data('ab'), batch_size=9)),
    'shuffle': dict(train=loader('train', data('ab'), shuffle=False)),
    'corpus': dict(test=loader('test', data('c', 'test', corpus='other'))),
    'empty-domain': dict(
        val=loader('val', data('ab', samples=data('a', 'test').samples))
    ),
    'empty-class': dict(
        train=loader(
            'train', data('ab', samples=data('ab').samples[:-4]), batch_size=4
        )
    ),
    'overlap': dict(
        val=loader(
            'val',
            data(
                'ab',
                samples=(
                    *data('ab', 'test').samples,
                    *data('a').samples[:1],
                ),
            ),
        )
    ),
    'schedule': dict(
        schedule=schedule(schedules=[('MultiStepLR', None, [8, 12])])
    ),
    'teacher': dict(
        schedule=schedule(teacher=('custom_hooks.2.begin_iter', 21))
    ),
    'strategy': dict(model=model(modalities=('audio',))),
    'annotation': dict(
        test=loader('test', failure='no such file', is_missing=True)
    ),
}
IN_A_RUN = {r for r in RULES if not r.startswith('checkpoint-')}


def test_a_sound_run_has_no_problem():
    assert check_run(run()) == []


@pytest.mark.parametrize('rule', ERRORS)
def test_errors(rule):
    found = check_run(run(**ERRORS[rule]))
    assert [p.rule for p in found if p.severity == ERROR] == [rule]
    with pytest.raises(ValueError, match='.') as raised:
        refuse(found)
    assert str(raised.value).splitlines()[-1] == str(raised.value)


@pytest.mark.parametrize('rule', WARNINGS)
def test_warnings(rule):
    found = check_run(run(**WARNINGS[rule]))
    assert [(p.rule, p.severity) for p in found] == [(rule, WARNING)]
    refuse(found)


def test_every_rule_is_tried_here():
    assert {*ERRORS, *WARNINGS} == IN_A_RUN


@pytest.mark.parametrize(
    'changes',
    [
        pytest.param(
            dict(test=loader('test', data('b', 'x', corpus='other'))),
            id='domain-of-the-same-name-elsewhere',
        ),
        pytest.param(
            dict(
                test=loader(
                    'test',
                    data('c', 'test'),
                    data('b', 'x', classes=('cut',), corpus='other'),
                ),
                foreign_domains=('b',),
            ),
            id='foreign-corpus',
        ),
        pytest.param(
            dict(
                test=loader(
                    'test', data('c', 'test', classes=('walk', 'run', 'fly'))
                ),
                is_open_set=True,
            ),
            id='open-set',
        ),
        pytest.param(
            dict(
                model=model(stand_ins=('audio',)),
                test=loader('test', data('c', 'test', modalities=('video',))),
            ),
            id='stand-in-at-test-time',
        ),
        pytest.param(
            dict(val=None, test=None, model=None), id='training-alone'
        ),
        pytest.param(
            dict(
                train=loader('train', data('a')),
                val=loader('val', data('a', 'test')),
                model=model(num_domains={'model.methods.0.num_domains': 1}),
            ),
            id='one-source-without-discriminator',
        ),
        pytest.param(
            dict(test=loader('test', data('c', 'test'), batch_size=100)),
            id='large-test-batch',
        ),
    ],
)
def test_what_is_meant_is_no_error(changes):
    assert [p for p in check_run(run(**changes)) if p.severity == ERROR] == []


def oracle(**changes):
    facts = dict(
        train=loader('train', data('abc')),
        model=model(num_domains={'model.domain_head.num_domains': 3}),
        is_oracle=True,
    )
    return run(**{**facts, **changes})


def test_an_oracle_is_named():
    [problem] = check_run(oracle())
    expected = ('target-among-sources', WARNING)
    assert (problem.rule, problem.severity) == expected
    assert 'no result of domain generalisation' in problem.text


@pytest.mark.parametrize(
    ('rule', 'changes'),
    [
        ('selection', dict(val=loader('val', data('abc', 'test')))),
        ('selection', dict(val=loader('val', data('c', 'test')))),
        ('overlap', dict(test=loader('test', data('c')))),
        ('num-domains', dict(model=run().model)),
    ],
)
def test_an_oracle_is_held_to_the_other_rules(rule, changes):
    found = check_run(oracle(**changes))
    assert [p.rule for p in found if p.severity == ERROR] == [rule]


def in_domain(**changes):
    facts = dict(
        val=loader('val', data('ab', 'held-out')),
        test=loader('test', data('ab', 'test')),
        is_in_domain=True,
    )
    return run(**{**facts, **changes})


def test_what_is_tested_in_domain_is_named():
    [problem] = check_run(in_domain())
    expected = ('target-among-sources', WARNING)
    assert (problem.rule, problem.severity) == expected
    assert 'no domain is unseen' in problem.text
    wrong_file = in_domain(test=loader('test', data('ab')))
    errors = [p.rule for p in check_run(wrong_file) if p.severity == ERROR]
    assert errors == ['overlap']


def test_selection_on_the_tested_clips_is_named():
    val = loader('val', data('ab', 'test'))
    _, told = check_run(in_domain(val=val))
    assert (told.rule, told.severity) == ('selection', WARNING)
    assert f'selects on {len(val.ids)} of the' in told.text
    found = check_run(
        in_domain(val=val, schedule=schedule(save_best=('auto',)))
    )
    told = found[-1]
    assert told.rule == 'selection'
    found = check_run(in_domain(val=val, schedule=schedule(save_best=())))
    assert [p.rule for p in found] == ['target-among-sources']


def test_no_hook_trains_by_the_tested_clips():
    options = schedule(save_best=(), val_readers=('custom_hooks.0',))
    val = loader('val', data('ab', 'test'))
    _, told = check_run(in_domain(val=val, schedule=options))
    assert (told.rule, told.severity) == ('selection', ERROR)
    assert "['custom_hooks.0'] train by the validation" in told.text
    [known] = check_run(in_domain(schedule=options))
    assert known.severity == WARNING


def test_batches_are_those_of_one_rank():
    train = loader('train', data('ab'), num_ranks=4)
    assert train.num_batches == 0
    assert loader('train', data('ab'), num_ranks=2).num_batches == 1
    text = check_run(run(train=train))[0].text
    assert 'at most the 4 samples of each of 4 ranks, got 8' in text


def test_each_error_has_a_line():
    problems = [Problem('batch', 'one'), Problem('topk', 'two')]
    with pytest.raises(ValueError, match='2 settings do not fit') as raised:
        refuse(problems)
    assert str(raised.value).splitlines()[1:] == [
        'Error 1: one',
        'Error 2: two',
    ]
    refuse(excuse(problems, ['batch', 'topk']))
