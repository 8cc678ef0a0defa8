from __future__ import annotations

import copy
from pathlib import Path

import pytest
from mmengine.config import Config

from mmgmp.utils.protocol import read_protocol, resolve_protocol
from tests.shipped import GMP, ROOT, load

ORDER = ('video', 'audio', 'flow')
VALUES = {
    'domains': ['a', 'b', 'c'],
    'target': 'b',
    'modalities': ['video', 'audio'],
    'num_classes': 7,
}


def read(**values):
    return read_protocol({**VALUES, **values}, ORDER)


def test_all_other_domains_are_sources_in_label_order():
    assert read().sources == ['a', 'c']
    assert read(target=['c', 'a']).target == ['a', 'c']
    assert read(sources=['c', 'a']).sources == ['a', 'c']
    assert read(sources='c').sources == ['c']


def test_modalities_are_in_the_order_of_the_model():
    protocol = read(modalities=['flow', 'video'])
    assert protocol.modalities == protocol.loads == ['video', 'flow']


def test_a_companion_is_read_only_with_a_modality_that_is_alone():
    companions = {'audio': 'video'}
    alone = read(modalities=['audio'], companions=companions)
    assert alone.loads == ['video', 'audio']
    assert alone.modalities == ['audio']
    both = read(modalities=['audio', 'flow'], companions=companions)
    assert both.loads == ['audio', 'flow']


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'target': 'd'}, r"target must be among \['a', 'b', 'c'\].*\['d'\]"),
        ({'sources': ['d']}, r'sources must be among'),
        ({'sources': ['a', 'b']}, r'must be different domains'),
        ({'target': ['a', 'b', 'c']}, r'at least one each'),
        ({'target': []}, r'at least one each'),
        ({'sources': []}, r'at least one each'),
        ({'target': 1}, r'target must be a name or a list of names, got 1'),
        ({'modalities': [2]}, r'modalities must be a name or a list'),
        ({'sources': ['a', 'a']}, r'sources must name each once'),
        ({'domains': ['a', 'a', 'b']}, r'domains must name each once'),
        ({'modalities': ['smell']}, r'modalities must be among'),
        ({'modalities': []}, r'must name at least one of'),
        ({'modality': ['video']}, r"correct \['modality'\]"),
        ({'target': None}, r"correct \['target'\]"),
        ({'num_classes': 1}, r'num_classes must be an integer >= 2, got 1'),
        ({'missing': ['flow']}, r'missing must be among'),
        ({'missing': ['video', 'audio']}, r'missing must leave one'),
        ({'corruption': {'flow': 'blur'}}, r'corruption must be among'),
        ({'corruption': 'blur'}, r'corruption must be a mapping'),
        (
            {'modalities': ['video'], 'corruption': {'audio': 'wind'}},
            r'corruption must be among',
        ),
        ({'measure': 'luck'}, r'measure must be among'),
        ({'oracle': 'yes'}, r"oracle must be True .* or False, got 'yes'"),
        ({'in_domain': 1}, r'in_domain must be True .* or False, got 1'),
        ({'in_domain': True}, r'no unseen domain.*set protocol.target=None'),
        (
            {'in_domain': True, 'target': None, 'oracle': True},
            r"got \['oracle'\]; set protocol.oracle=None",
        ),
        (
            {'in_domain': True, 'target': None, 'sources': []},
            r'at least one each',
        ),
    ],
)
def test_what_cannot_be_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        read(**values)


def test_a_seen_target_must_be_allowed():
    values = {'sources': ['a', 'b'], 'target': 'b'}
    assert read(**values, allow_seen_target=True).sources == ['a', 'b']
    config = Config.fromfile(GMP)
    config.default_hooks.settings = {'type': 'SettingsCheckHook'}
    config.merge_from_dict({'protocol.allow_seen_target': True})
    hook = resolve_protocol(config).default_hooks.settings
    assert hook.allow_seen_target is True


def test_an_oracle_trains_on_the_target_and_selects_on_the_sources():
    config = load(target='animal', oracle=True)
    for part, domains in (
        ('train', ['human', 'cartoon', 'animal']),
        # The labels of the sources are those of training.
        ('val', ['human', 'cartoon']),
        ('test', ['animal']),
    ):
        assert config[f'{part}_dataloader'].dataset.domains == domains
    assert config.model.domain_head.num_domains == 3
    # HAC tests on both splits; one of them is trained on.
    assert config.test_dataloader.dataset.ann_file == 'hac_test.json'
    assert config.protocol.written.sources == ['human', 'cartoon']
    assert read(oracle=True).name == 'a-c_to_b_video-audio_oracle'
    assert resolve_protocol(config).to_dict() == config.to_dict()


def test_an_oracle_of_one_source_has_two_domains():
    umt = ROOT / 'configs/balance/umt_mini-hac.py'
    config = load(umt, sources=['animal'], target='human', oracle=True)
    assert config.model.domain_head.num_domains == 2
    assert config.model.methods[0].sources == ['animal', 'human']


def test_an_oracle_needs_clips_to_test_on():
    config = Config.fromfile(GMP)
    config.merge_from_dict({'protocol.oracle': True})
    config.test_dataloader.dataset.ann_file = 'hac_train.json'
    with pytest.raises(ValueError, match='not trained on, got the same ann'):
        resolve_protocol(config)


def test_no_domain_is_unseen_where_the_sources_are_tested():
    config = load(target=None, in_domain=True, sources=['human', 'animal'])
    for part in ('train', 'val', 'test'):
        domains = config[f'{part}_dataloader'].dataset.domains
        assert domains == ['human', 'animal']
    assert config.model.domain_head.num_domains == 2
    # HAC tests on both splits; one of them is trained on.
    assert config.test_dataloader.dataset.ann_file == 'hac_test.json'
    assert resolve_protocol(config).to_dict() == config.to_dict()
    protocol = read(target=None, in_domain=True)
    assert protocol.sources == protocol.target == ['a', 'b', 'c']
    assert protocol.name == 'a-b-c_in-domain_video-audio'
    config.merge_from_dict(
        {'protocol.in_domain': False, 'protocol.target': 'cartoon'}
    )
    with pytest.raises(ValueError, match='must stay .*in_domain=True'):
        resolve_protocol(config)


def test_a_config_written_before_the_option_cannot_be_changed_to_it():
    config = load(sources=['animal', 'cartoon'])
    del config.protocol.written['in_domain']
    config.merge_from_dict(
        {'protocol.in_domain': True, 'protocol.target': None}
    )
    with pytest.raises(ValueError, match=r"must stay .*'in_domain=False'"):
        resolve_protocol(config)


def test_one_domain_that_is_not_unseen_has_no_discriminator():
    config = load(target=None, in_domain=True, sources=['human'])
    assert config.model.domain_head is None
    config = Config.fromfile(GMP)
    config.merge_from_dict(
        {'protocol.in_domain': True, 'protocol.target': None}
    )
    config.test_dataloader.dataset.ann_file = 'hac_train.json'
    with pytest.raises(ValueError, match='in_domain needs tested clips'):
        resolve_protocol(config)


def test_a_config_without_a_protocol_is_left_alone():
    config = Config({'a': 1})
    assert resolve_protocol(config) is config


def test_the_config_given_is_not_changed_and_a_second_time_changes_nothing():
    config = Config.fromfile(GMP)
    before = copy.deepcopy(config.to_dict())
    plain = resolve_protocol(config)
    assert config.to_dict() == before
    assert resolve_protocol(plain).to_dict() == plain.to_dict()


def test_loaders_and_model_follow():
    config = load(target='cartoon', modalities=['audio'])
    for part, domains in (
        ('train', ['human', 'animal']),
        ('val', ['human', 'animal']),
        ('test', ['cartoon']),
    ):
        dataset = config[f'{part}_dataloader'].dataset
        assert dataset.domains == domains
        # Sound is cut to the clip, which only the picture tells.
        assert dataset.modalities == ['video', 'audio']
    assert list(config.model.encoders) == ['audio']
    assert config.model.modality_order == ['audio']
    assert config.model.cls_head.num_classes == 7
    assert config.model.domain_head.num_domains == 2


def test_one_source_drops_the_discriminator():
    jat = ROOT / 'configs/mmdg/jat_mini-hac.py'
    config = load(jat, sources=['animal'], target='human')
    assert config.model.domain_head is None
    assert config.model.methods[0].num_domains == 1
    assert load(sources=['animal']).model.domain_head is None


def test_the_stock_work_dir_tells_what_is_unseen():
    config = Config.fromfile(GMP)
    config.work_dir = './work_dirs/gmp_mini-hac'
    plain = resolve_protocol(config)
    name = 'animal-cartoon_to_human_video-audio'
    assert plain.work_dir == f'./work_dirs/gmp_mini-hac/{name}'
    # An evaluation must not overwrite the config of its training.
    config.merge_from_dict({'protocol.corruption.audio': 'wind'})
    assert resolve_protocol(config).work_dir.endswith('_wind-audio-3')
    config.work_dir = 'mine'
    assert resolve_protocol(config).work_dir == 'mine'


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('test_dataloader.dataset.domains', ['animal'], 'set protocol.target'),
        ('train_dataloader.dataset.domains', ['human'], 'protocol.sources'),
        ('val_dataloader.dataset.modalities', ['flow'], 'protocol.modalities'),
        ('model.cls_head.num_classes', 5, 'num_classes must be 7'),
        ('model.domain_head.num_domains', 3, 'num_domains must be 2'),
    ],
)
def test_a_config_must_not_say_otherwise_than_its_protocol(
    key, value, message
):
    config = Config.fromfile(GMP)
    config.merge_from_dict({key: value})
    with pytest.raises(ValueError, match=message):
        resolve_protocol(config)


def dumped(folder: Path, **options) -> Config:
    load(**options).dump(folder / 'dumped.py')
    return Config.fromfile(folder / 'dumped.py')


def test_a_dumped_config_takes_another_fold_but_no_other_model(tmp_path):
    config = dumped(tmp_path)
    config.merge_from_dict({'protocol.target': 'cartoon'})
    plain = resolve_protocol(config)
    assert plain.test_dataloader.dataset.domains == ['cartoon']
    assert plain.train_dataloader.dataset.domains == ['human', 'animal']
    for change in ({'sources': ['human']}, {'oracle': True}):
        other = copy.deepcopy(config)
        other.merge_from_dict({f'protocol.{k}': v for k, v in change.items()})
        with pytest.raises(ValueError, match='start from the config file'):
            resolve_protocol(other)


def test_a_dumped_config_takes_evaluations_once(tmp_path):
    config = dumped(tmp_path)
    config.merge_from_dict({'protocol.corruption.video': 'blur'})
    once = resolve_protocol(config)
    (wrapped,) = once.test_dataloader.dataset.pipeline
    assert wrapped.type == 'CorruptedPipeline'
    assert resolve_protocol(once).to_dict() == once.to_dict()
    once.merge_from_dict({'protocol.corruption.severity': 5})
    with pytest.raises(ValueError, match='severity=3'):
        resolve_protocol(once)


def test_without_a_protocol_a_dumped_config_is_the_users(tmp_path):
    config = dumped(tmp_path)
    domains = 'test_dataloader.dataset.domains'
    config.merge_from_dict({'protocol': None, domains: ['animal']})
    assert resolve_protocol(config) is config


@pytest.mark.parametrize('target', ['human', 'cartoon'])
def test_the_sources_can_be_tested(target):
    """On what validation measures, whatever the target."""
    plain = load(target=target)
    config = load(target=target, measure='source')
    assert config.test_dataloader == plain.val_dataloader
    assert config.test_evaluator == plain.val_evaluator
    assert config.train_dataloader == plain.train_dataloader
    assert resolve_protocol(config).test_dataloader == plain.val_dataloader
    dump = {'type': 'DumpResults', 'out_file_path': 'a.pkl'}
    dumping = Config({**plain.to_dict()})
    dumping.test_evaluator = [plain.test_evaluator, dump]
    dumping.protocol.update(measure='source', written=None)
    found = resolve_protocol(dumping).test_evaluator
    assert found == [plain.val_evaluator, dump]
    with pytest.raises(ValueError, match='without val_dataloader'):
        resolve_protocol(Config({**plain, 'val_dataloader': None,
                                 'protocol': config.protocol | {
                                     'written': None}}))  # fmt: skip


def test_stand_ins_damage_and_measures_are_of_the_same_config():
    config = load(
        missing=['audio'],
        corruption={'video': 'blur', 'severity': 5},
        measure='misclassification',
    )
    assert config.model.missing_modalities == {'audio': 'zeros'}
    (wrapped,) = config.test_dataloader.dataset.pipeline
    assert wrapped.corruptions.video == {
        'type': 'CorruptVideo', 'kind': 'blur', 'severity': 5,
    }  # fmt: skip
    assert [m.type for m in config.test_evaluator] == [
        'AudioVisualAccuracy', 'MisclassificationDetection',
    ]  # fmt: skip
    assert config.val_dataloader.dataset.pipeline[0].type != wrapped.type
    translated = load(missing={'audio': 'translate'})
    assert translated.model.missing_modalities == {'audio': 'translate'}
    assert load(measure='open_set').test_evaluator.type == 'OpenSetAccuracy'


def test_a_foreign_corpus_is_read_as_the_own():
    config = load(measure='out_of_distribution', target='cartoon')
    own, foreign = config.test_dataloader.dataset.datasets
    assert own.domains == ['cartoon']
    assert foreign.domains == ['D1']
    assert foreign.pipeline == own.pipeline
    again = resolve_protocol(config)
    assert again.test_dataloader.dataset.datasets[1].domains == ['D1']
    epic = ROOT / 'configs/gmp/gmp_epic.py'
    with pytest.raises(ValueError, match='protocol.foreign must name'):
        load(epic, measure='out_of_distribution')


def test_unknown_classes_are_trained_without_and_tested_with():
    unknown = ['running', 'swimming']
    plain = load(unknown_classes=unknown)
    assert plain.model.cls_head.num_classes == 5
    for loader in ('train', 'val', 'test'):
        dataset = plain[f'{loader}_dataloader'].dataset
        assert dataset.unknown_classes == unknown
        assert not dataset.keep_unknown
    tested = load(unknown_classes=unknown, measure='open_set')
    assert tested.test_dataloader.dataset.keep_unknown
    assert not tested.val_dataloader.dataset.keep_unknown
    assert tested.protocol.written.unknown_classes == unknown
    # Written out, it is what it is.
    assert resolve_protocol(tested).to_dict() == tested.to_dict()
    tested.protocol.unknown_classes = ['running']
    with pytest.raises(ValueError, match='unknown_classes='):
        resolve_protocol(tested)


def test_two_classes_must_be_known():
    assert read(unknown_classes=['a', 'b c']).known_classes == 5
    assert read(unknown_classes=['a', 'b c']).name.endswith('not-a_not-b-c')
    with pytest.raises(ValueError, match='must leave two classes or more'):
        read(unknown_classes=list('abcdef'))
