"""Facts are read from configs and annotation files."""

from __future__ import annotations

import json

import pytest
from mmengine.config import Config

from mmgmp.engine.settings import gather_facts, read_loader, read_model
from mmgmp.utils.settings import check_run

CLASSES = ['walk', 'run']


@pytest.fixture
def corpus(tmp_path):
    for split in ('train', 'test'):
        samples = [
            dict(
                id=f'{domain}/{split}{label}{number}',
                domain=domain,
                label=label,
                audio=dict(path='a.wav'),
                video=dict(path='a.mp4'),
            )
            for domain in 'abc'
            for label in range(2)
            for number in range(4)
        ]
        metainfo = dict(corpus='toy', classes=CLASSES, domains=list('abc'))
        content = dict(metainfo=metainfo, data_list=samples)
        (tmp_path / f'{split}.json').write_text(json.dumps(content))
    return tmp_path


def dataset(root, split, domains, **more):
    lists = dict(video=[], audio=[], order=['video', 'audio'])
    return dict(
        type='AudioVisualDataset',
        ann_file=f'{split}.json',
        data_root=str(root),
        domains=domains,
        # No such transform: the pipeline must not be built.
        pipeline=[dict(type='MultiModalPipeline', **lists), dict(type='X')],
        **more,
    )


def config(root, **options):
    made = Config(
        dict(
            train_dataloader=dict(
                batch_size=4,
                drop_last=True,
                dataset=dataset(root, 'train', ['a', 'b']),
            ),
            val_dataloader=dict(dataset=dataset(root, 'test', ['a', 'b'])),
            test_dataloader=dict(dataset=dataset(root, 'test', ['c'])),
            val_evaluator=dict(type='AudioVisualAccuracy'),
            test_evaluator=[dict(type='AudioVisualAccuracy', topk=(1, 2))],
            model=dict(
                modality_order=['video', 'flow', 'audio'],
                encoders=dict(
                    audio=dict(num_classes=400), video={}, flow=None
                ),
                cls_head=dict(num_classes=2),
                domain_head=dict(num_domains=2),
                methods=[dict(type='M'), dict(type='N', num_domains=2)],
            ),
            default_hooks=dict(checkpoint=dict(save_best='acc/top1_video')),
            optim_wrapper=dict(modulation=dict(type='M'), projection=None),
            train_cfg=dict(max_epochs=10),
        )
    )
    made.merge_from_dict(options)
    return made


def test_all_is_read_and_nothing_changed(corpus):
    given = config(corpus)
    before = given.pretty_text
    facts = gather_facts(given)
    assert given.pretty_text == before
    assert facts.train.all_domains == ('a', 'b')
    assert facts.train.num_batches == 4
    assert facts.train.lists == ('video', 'audio')
    assert facts.train.data[0].known_domains == ('a', 'b', 'c')
    assert facts.train.counts['b', 1] == 4
    assert facts.targets == ('c',)
    assert facts.topk == 2
    assert facts.model.modalities == ('video', 'audio')
    assert facts.model.num_classes == {'model.cls_head.num_classes': 2}
    assert facts.model.num_domains == {
        'model.domain_head.num_domains': 2,
        'model.methods.1.num_domains': 2,
    }
    assert facts.schedule.strategies == ('optim_wrapper.modulation',)
    assert {'acc/top1_video', 'acc/a_top1'} < facts.schedule.metrics
    assert 'acc/top2' not in facts.schedule.metrics
    assert check_run(facts) == []


@pytest.mark.parametrize(
    ('key', 'value', 'rule'),
    [
        ('train_dataloader.dataset.domains', ['a', 'c'], {'selection'}),
        ('test_dataloader.dataset.domains', ['humna'], {'annotation'}),
        ('test_dataloader.dataset.data_root', '/nowhere', {'annotation'}),
        ('train_dataloader.dataset.modalities', 'audio', {'annotation'}),
        ('val_dataloader.dataset.ann_file', 'train.json', {'overlap'}),
        ('model.cls_head.num_classes', 3, {'num-classes'}),
        ('train_dataloader.batch_size', 17, {'batch'}),
        ('train_dataloader.dataset.indices', 3, {'batch', 'empty-class'}),
        ('load_from', 'no/such.pth', {'load-from'}),
        ('default_hooks.checkpoint.save_best', 'top1', {'save-best'}),
        ('model.missing_modalities', {'video': 'zeros'}, set()),
        ('model.encoders.audio', None, {'strategy'}),
    ],
)
def test_a_changed_key_breaks_its_rule(corpus, key, value, rule):
    given = config(corpus)
    given.merge_from_dict({key: value})
    found = {p.rule for p in check_run(gather_facts(given))}
    assert rule <= found
    assert bool(rule) == bool(found)


def test_a_misspelt_target_is_found_where_its_data_are_not(corpus):
    given = config(corpus)
    given.test_dataloader.dataset.update(data_root='no', domains=['humna'])
    rules = {p.rule: p.text for p in check_run(gather_facts(given))}
    assert "got ['humna']; it has ['a', 'b', 'c']" in rules['domains']


@pytest.mark.parametrize(
    ('size', 'block', 'rule'),
    [(4, 4, set()), (4, 2, set()), (6, 4, {'batch'}), (4, 3, {'annotation'})],
)
def test_balanced_batches_fit_those_of_the_loader(corpus, size, block, rule):
    given = config(corpus)
    sampler = dict(type='DomainBalancedSampler', batch_size=block)
    given.train_dataloader.update(batch_size=size, sampler=sampler)
    given.train_dataloader.dataset.update(skip_list=['a/train00'])
    facts = gather_facts(given)
    assert {p.rule for p in check_run(facts)} == rule
    if not rule:  # 7 of a, 8 of b
        assert facts.train.num_samples == 7 // (block // 2) * block


def test_a_test_reads_the_test_alone(corpus):
    given = config(corpus)
    given.train_dataloader.dataset.data_root = 'no'
    facts = gather_facts(given, 'test')
    assert facts.loaders == [facts.test]
    assert check_run(facts) == []


def test_wrapped_datasets_are_looked_into(corpus):
    both = [dataset(corpus, 'train', [d]) for d in 'ab']
    wrapped = dict(
        type='RepeatDataset',
        times=3,
        dataset=dict(
            type='ConcatDataset', datasets=both, ignore_keys=['domains']
        ),
    )
    facts = read_loader('train_dataloader', dict(dataset=wrapped))
    assert facts.all_domains == ('a', 'b')
    assert facts.num_samples == 3 * 16
    assert facts.lists == ('video', 'audio')


def test_what_is_not_ours_is_left_alone():
    assert read_model(dict(type='Recognizer3D', backbone={})) is None
    assert read_model(None) is None
    assert read_loader('val_dataloader', object()) is None
    assert check_run(gather_facts({'model': object()})) == []


def test_a_number_said_once_is_that_of_all_parts():
    model = dict(
        encoders={'audio': {}},
        modalities=['audio'],
        num_domains=3,
        domain_head=dict(num_domains=2),
    )
    assert read_model(model).num_domains == {'model.num_domains': 3}


def test_hooks_that_train_by_the_validation_data_are_found():
    config = {
        'default_hooks': {
            'blending': {'type': 'GradBlendingHook'},
            'logger': {'type': 'LoggerHook'},
        },
        'custom_hooks': [{'type': 'DRBHook'}, {'type': 'EMAHook'}],
    }
    found = gather_facts(config).schedule.val_readers
    assert found == ('default_hooks.blending', 'custom_hooks.0')
