from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from mmgmp.datasets import MultiModalPipeline, PackMultiModalInputs
from tests.datasets.conftest import moving_frames

SAMPLE = dict(type='SampleFrames', clip_len=4, frame_interval=2)
STOCK = {
    'decord': [dict(type='DecordInit'), SAMPLE, dict(type='DecordDecode')],
    'opencv': [dict(type='OpenCVInit'), SAMPLE, dict(type='OpenCVDecode')],
    'pyav': [dict(type='PyAVInit'), SAMPLE, dict(type='PyAVDecode')],
}
OURS = [dict(type='PyAVSeekInit'), SAMPLE, dict(type='PyAVSeekDecode')]


def sample(corpus, *modalities, **entries):
    sources = {
        'video': {'path': str(corpus / 'human/clip 0.mp4')},
        'audio': {'path': str(corpus / 'human/clip 0.wav')},
        **entries,
    }
    names = modalities or ('video', 'audio')
    return dict(
        modalities=names,
        sources={name: sources[name] for name in names},
        label=2,
        domain='human',
        domain_label=0,
        sample_id='human/clip 0',
    )


@pytest.mark.parametrize('reader', STOCK)
def test_stock_readers_work_and_agree(corpus, reader):
    if reader == 'decord':
        pytest.importorskip('decord')
    images = []
    for transforms in (OURS, STOCK[reader]):
        np.random.seed(0)
        pipeline = MultiModalPipeline(video=transforms)
        images.append(pipeline(sample(corpus, 'video'))['video']['imgs'])
    difference = np.abs(np.subtract(*images, dtype=np.int16))
    assert len(images[0]) == 4
    # OpenCV converts colours with its own rounding.
    assert difference.max() <= (3 if reader == 'opencv' else 0)


def test_later_modality_gets_the_sampled_seconds(corpus):
    pipeline = MultiModalPipeline(
        video=OURS, audio=[dict(type='LoadAudioSegment', crop='clip')]
    )
    results = pipeline(sample(corpus))
    frame_inds = results['video']['frame_inds']
    assert results['audio']['clip_frames'] == (frame_inds[0], frame_inds[-1])
    start, stop = results['audio']['clip_seconds']
    assert start == frame_inds[0] / 24
    assert len(results['audio']['waveform']) == round(6 / 24 * 16000)
    assert stop - start == pytest.approx(6 / 24)


def test_order_of_the_lists_decides(corpus):
    audio_first = MultiModalPipeline(
        audio=[dict(type='LoadAudioSegment', crop='clip')], video=OURS
    )
    with pytest.raises(ValueError, match='put the video list before'):
        audio_first(sample(corpus))


def test_seconds_come_from_the_file_where_a_reader_reports_no_rate(corpus):
    audio = dict(type='LoadAudioSegment', crop='clip')
    pipeline = MultiModalPipeline(video=STOCK['opencv'], audio=[audio])
    results = pipeline(sample(corpus))
    numbers = results['video']['frame_inds']
    assert 'fps' not in results['video']
    assert results['audio']['clip_seconds'] == pytest.approx(
        (numbers[0] / 24, numbers[-1] / 24)
    )


def test_modalities_do_not_share_state(corpus):
    entry = {'path': str(corpus / 'animal/clip 1.mp4')}
    pipeline = MultiModalPipeline(video=OURS, second=OURS)
    item = sample(corpus, 'video', 'second', second=entry)
    before = {name: dict(entry) for name, entry in item['sources'].items()}
    results = pipeline(item)
    assert not np.array_equal(
        results['video']['imgs'], results['second']['imgs']
    )
    assert results['video']['modality'] == 'RGB'
    assert results['video']['label'] == 2
    assert item['sources'] == before
    assert 'video' not in item


def test_only_the_wanted_modalities_run(corpus):
    pipeline = MultiModalPipeline(
        video=[dict(type='PyAVSeekInit'), dict(type='PyAVSeekDecode')],
        audio=[dict(type='LoadAudioSegment')],
    )
    results = pipeline(sample(corpus, 'audio'))
    assert 'video' not in results
    assert results['audio']['modality'] == 'Audio'


def test_modality_without_a_list_names_those_there_are(corpus):
    pipeline = MultiModalPipeline(video=OURS)
    with pytest.raises(ValueError, match=r"'audio' has no list.*\['video'\]"):
        pipeline(sample(corpus))


def test_list_must_be_a_list():
    with pytest.raises(TypeError, match='video must be a list'):
        MultiModalPipeline(video=dict(type='PyAVSeekInit'))


def test_a_transform_may_reject_a_sample(corpus):
    pipeline = MultiModalPipeline(video=[lambda results: None])
    assert pipeline(sample(corpus, 'video')) is None


def test_folders_of_frames_and_of_flow(tmp_path, corpus):
    for number, image in enumerate(moving_frames(20)):
        for name in ('rgb', 'x', 'y'):
            path = tmp_path / f'{name}_{number + 5:010}.jpg'
            cv2.imwrite(str(path), image)
    entry = {'path': str(tmp_path), 'start_frame': 8, 'num_frames': 10}
    transforms = [
        SAMPLE,
        dict(type='RawFrameDecode'),
        dict(type='FormatShape', input_format='NCTHW'),
    ]
    pipeline = MultiModalPipeline(video=transforms, flow=transforms)
    results = pipeline(
        sample(
            corpus,
            'video',
            'flow',
            video={**entry, 'filename_tmpl': 'rgb_{:010}.jpg'},
            flow={**entry, 'filename_tmpl': '{}_{:010}.jpg'},
        )
    )
    assert results['video']['imgs'].shape == (1, 3, 4, 32, 64)
    assert results['flow']['imgs'].shape == (1, 2, 4, 32, 64)
    for name in ('video', 'flow'):
        assert results[name]['frame_inds'].min() >= 8
        assert results[name]['frame_inds'].max() < 18
    # Nothing says how fast the folder plays.
    assert 'clip_frames' in results['flow']
    assert 'clip_seconds' not in results['flow']


def test_pack_without_labels_and_with_meta_keys(corpus):
    item = dict(
        modalities=('audio',),
        audio={'audios': np.zeros((1, 4, 5), np.float32)},
        note='kept',
    )
    packed = PackMultiModalInputs(meta_keys=['note', 'absent'])(item)
    data_sample = packed['data_samples']
    assert data_sample.metainfo == {'note': 'kept'}
    assert 'gt_label' not in data_sample
    assert packed['inputs']['audio'].shape == (1, 4, 5)


def test_packed_labels_are_tensors_that_move_with_the_sample():
    item = dict(
        modalities=('video',),
        video={'imgs': np.zeros((1, 3, 2, 4, 4), np.uint8)[..., ::-1]},
        label=1,
        domain_label=2,
    )
    packed = PackMultiModalInputs()(item)
    data_sample = packed['data_samples']
    assert data_sample.gt_label.tolist() == [1]
    assert data_sample.domain_label.dtype == torch.int64
    assert data_sample.to('meta').domain_label.device.type == 'meta'
    assert packed['inputs']['video'].is_contiguous()


def test_pack_says_what_a_list_left_behind():
    item = dict(modalities=('video',), video={'imgs': [np.zeros(3)]})
    with pytest.raises(ValueError, match=r"video: .*\['imgs'\].*FormatShape"):
        PackMultiModalInputs()(item)
