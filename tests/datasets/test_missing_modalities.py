from __future__ import annotations

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger

from mmgmp.registry import DATASETS, MODELS, TRANSFORMS
from mmgmp.structures import presence_key
from tests.datasets.conftest import pipeline


def lose_sound(samples):
    """No entry, none but in name, and no file."""
    del samples[0]['audio']
    samples[1]['audio'] = None
    samples[2]['audio']['path'] = 'absent.wav'


def build(corpus, ann_file, on_missing, **options):
    return DATASETS.build(
        dict(
            type='AudioVisualDataset',
            ann_file=ann_file,
            data_root=str(corpus),
            domains=['human'],
            on_missing=on_missing,
            **options,
        )
    )


@pytest.mark.parametrize('policy', ['zeros', {'audio': 'zeros'}])
def test_samples_without_a_modality_are_kept_and_counted(
    corpus, edited, policy, caplog, monkeypatch
):
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handlers', [caplog.handler])
    dataset = build(corpus, edited(lose_sound), policy, pipeline=pipeline())
    assert "3 of 6 samples of ['" in caplog.text
    assert "have no audio, zeros stand for its feature: ['human/clip 0'" in (
        caplog.text
    )
    samples = [dataset[index] for index in (0, 3, 2)]
    missing = [s['data_samples'].get('missing_modalities') for s in samples]
    assert missing == [('audio',), None, ('audio',)]
    part = dict(type='ActionDataPreprocessor', format_shape='NCTHW')
    sound = dict(type='ActionDataPreprocessor')
    preprocess = MODELS.build(
        dict(
            type='AudioVisualDataPreprocessor',
            preprocessors=dict(video=part, audio=sound),
        )
    )
    inputs = preprocess(pseudo_collate(samples))['inputs']
    assert inputs['video'].shape[0] == 3
    assert torch.equal(inputs['audio'][0], samples[1]['inputs']['audio'])
    assert inputs[presence_key('audio')].tolist() == [False, True, False]
    assert presence_key('video') not in inputs
    inputs = preprocess(pseudo_collate([samples[0]]))['inputs']
    assert inputs['audio'].numel() == 0
    assert inputs[presence_key('audio')].tolist() == [False]


def test_views_lack_what_the_sample_lacks(corpus, edited):
    views = dict(type='MultiViewPipeline', transforms=pipeline())
    dataset = build(corpus, edited(lose_sound), 'zeros', pipeline=[views])
    batch = pseudo_collate([dataset[0], dataset[3]])
    preprocess = MODELS.build(
        dict(
            type='AudioVisualDataPreprocessor',
            preprocessors={
                name: dict(type='ActionDataPreprocessor')
                for name in ('video', 'audio')
            },
        )
    )
    inputs = preprocess(batch)['inputs']
    assert inputs[presence_key('audio')].tolist() == [False, True] * 2
    assert len(inputs['audio']) == 2


@pytest.mark.parametrize('policy', ['raise', {'video': 'zeros'}])
def test_other_modalities_must_be_there(corpus, edited, policy):
    with pytest.raises(ValueError, match=r"no \['audio'\] entry"):
        build(corpus, edited(lose_sound), policy)


def test_a_broken_file_is_not_a_missing_one(corpus, edited, tmp_path):
    (tmp_path / 'broken.wav').write_bytes(b'RIFF')

    def break_sound(samples):
        samples[0]['audio']['path'] = str(tmp_path / 'broken.wav')

    dataset = build(corpus, edited(break_sound), 'zeros', pipeline=pipeline())
    with pytest.raises(OSError, match=r'broken\.wav'):
        dataset[0]


def test_a_modality_that_all_lack_is_a_mistake(corpus, edited):
    def lose_all(samples):
        for sample in samples:
            sample['audio']['path'] = 'nowhere.wav'

    with pytest.raises(ValueError, match="no sample of .*'audio'.*data_root"):
        build(corpus, edited(lose_all), 'zeros')


def test_a_sample_without_anything_is_named(corpus, edited):
    def lose_both(samples):
        del samples[4]['audio'], samples[4]['video']

    with pytest.raises(ValueError, match=r"'human/clip 4' has none.*skip_li"):
        build(corpus, edited(lose_both), 'zeros')


@pytest.mark.parametrize('policy', ['skip', {'audio': 'mean'}, {'a': 'zeros'}])
def test_unknown_policies_are_refused(corpus, policy):
    with pytest.raises(ValueError, match=r'on_missing.* must be one of'):
        build(corpus, 'train.json', policy)


def test_packing_puts_no_numbers_in_its_place():
    pack = TRANSFORMS.build(dict(type='PackMultiModalInputs'))
    packed = pack(
        dict(
            modalities=('audio',),
            missing_modalities=('video',),
            audio=dict(audios=torch.ones(1, 4, 5)),
        )
    )
    assert packed['inputs']['video'].numel() == 0
