"""A checkpoint knows what it was trained on."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mmgmp.utils.settings import (
    KEY,
    TrainedOn,
    check_resumed,
    check_target,
    check_tested,
    check_weights,
)
from tests.utils.settings.sound_run import data, loader, run

TRAINED = TrainedOn.from_facts(run())


def rules(problems):
    return [problem.rule for problem in problems]


def test_what_is_stored_is_read_again():
    meta = {KEY: TRAINED.as_meta()}
    assert TrainedOn.from_meta(meta) == TRAINED
    assert meta[KEY]['sources'] == ['a', 'b']
    assert TrainedOn.from_meta({}) is None


def test_older_checkpoints_hold_the_domains_of_their_dataset():
    old = {'dataset_meta': {'domains': ['a', 'b'], 'classes': ['walk', 'run']}}
    trained = TrainedOn.from_meta(old)
    assert rules(check_tested(trained, run())) == []
    facts = run(train=None, test=loader('test', data('b', 'test')))
    assert rules(check_tested(trained, facts)) == ['checkpoint-target']


def test_a_source_is_no_target():
    facts = run(train=None, test=loader('test', data('cb', 'test')))
    [problem] = check_tested(TRAINED, facts)
    assert "['b'] was among the source domains" in problem.text
    other = run(test=loader('test', data('b', 'test', corpus='other')))
    assert rules(check_target(TRAINED, other)) == []
    foreign = replace(facts, foreign_domains=('b',))
    assert rules(check_tested(TRAINED, foreign)) == []


def test_sources_are_tested_on_purpose_if_they_are_the_checkpoints():
    for domains, expected in (('ab', []), ('cb', ['checkpoint-source'])):
        test = loader('test', data(domains, 'test'))
        facts = replace(run(train=None, test=test), is_source=True)
        assert rules(check_tested(TRAINED, facts)) == expected


def test_weights_remember_where_they_started():
    started = replace(TRAINED, seen=('a', 'b', 'c'))
    assert rules(check_target(started, run())) == ['checkpoint-target']


def test_an_oracle_is_tested_as_one_or_not_at_all():
    facts = run(train=loader('train', data('abc')), is_oracle=True)
    oracle = TrainedOn.from_facts(facts)
    assert (oracle.oracle, oracle.seen) == (('c',), ('a', 'b', 'c'))
    assert TrainedOn.from_meta({KEY: oracle.as_meta()}) == oracle
    meta = {KEY: {k: v for k, v in TRAINED.as_meta().items() if k != 'oracle'}}
    assert TrainedOn.from_meta(meta) == TRAINED  # an older one
    [told] = check_tested(oracle, replace(facts, train=None))
    assert (told.rule, told.severity) == ('checkpoint-target', 'warning')
    [refused] = check_tested(oracle, run(train=None))
    assert refused.severity == 'error'
    assert 'say that it is an oracle with protocol.oracle' in refused.text
    [wrong] = check_tested(TRAINED, replace(facts, train=None))
    assert wrong.severity == 'error'
    assert "trained on the target ['c']" in wrong.text


def test_a_checkpoint_of_no_unseen_domain_is_tested_as_one():
    test = loader('test', data('ab', 'test'))
    facts = run(test=test, is_in_domain=True)
    trained = TrainedOn.from_facts(facts)
    assert (trained.in_domain, trained.oracle) == (('a', 'b'), ())
    assert TrainedOn.from_meta({KEY: trained.as_meta()}) == trained
    [told] = check_tested(trained, replace(facts, train=None))
    assert (told.rule, told.severity) == ('checkpoint-target', 'warning')
    [refused] = check_tested(trained, run(train=None, test=test))
    assert refused.severity == 'error'
    assert 'protocol.in_domain=True protocol.target=None' in refused.text
    other = loader('test', data('cb', 'test'))
    foreign = run(train=None, test=other, is_in_domain=True)
    [wrong] = check_tested(trained, foreign)
    assert wrong.rule == 'checkpoint-source'
    assert rules(check_target(trained, facts)) == []


@pytest.mark.parametrize(
    ('change', 'rule'),
    [
        ({'classes': ('run', 'walk')}, 'checkpoint-classes'),
        ({'modalities': ('audio', 'video')}, 'checkpoint-modalities'),
    ],
)
def test_a_test_is_of_what_was_trained(change, rule):
    assert rules(check_tested(replace(TRAINED, **change), run())) == [rule]


@pytest.mark.parametrize(
    'change',
    [
        {'sources': ('b', 'a')},
        {'classes': ('walk',)},
        {'modalities': ('video',)},
    ],
)
def test_a_resumed_run_goes_on_with_the_same(change):
    assert rules(check_resumed(TRAINED, TRAINED)) == []
    [problem] = check_resumed(TRAINED, replace(TRAINED, **change))
    assert problem.rule == 'checkpoint-resume'


@pytest.mark.parametrize(
    ('stored', 'text'),
    [
        ({'a': (2,)}, 'it lacks b'),
        ({'a': (2,), 'b': (3,), 'c': ()}, 'the model has no c'),
        ({'a': (2,), 'b': (4,)}, r'b \(\(4,\) instead of \(3,\)\)'),
        ({}, 'it lacks a, b'),
    ],
)
def test_weights_fit(stored, text):
    [problem] = check_weights({'a': (2,), 'b': (3,)}, stored, 'error')
    assert problem.severity == 'error'
    assert re.search(text, problem.text)


def test_counters_of_batch_norm_may_be_missing():
    model = {'a': (2,), 'norm.num_batches_tracked': ()}
    assert list(check_weights(model, {'a': (2,)}, 'error')) == []


@pytest.mark.parametrize(
    'meta',
    [
        {'dataset_meta': 3},
        {'dataset_meta': {'domains': 'ab', 'classes': ['x']}},
        {'dataset_meta': {'domains': [1], 'classes': ['x']}},
        {KEY: ['a']},
        {KEY: {'sources': ['a']}},
    ],
)
def test_anything_else_in_a_checkpoint_is_named(meta):
    with pytest.raises(ValueError, match='of the checkpoint must be'):
        TrainedOn.from_meta(meta)
