"""What stock decoders raise on damaged files, and what a mistake raises."""

from __future__ import annotations

import mmcv
import pytest

from mmgmp.datasets.file_damage import find_damage
from mmgmp.registry import DATASETS
from mmgmp.testing.media import write_audio, write_video
from tests.datasets.conftest import moving_frames, write_annotation

SAMPLE = dict(type='SampleFrames', clip_len=4)
DECODERS = {
    'own': [dict(type='PyAVSeekInit'), SAMPLE, dict(type='PyAVSeekDecode')],
    'pyav': [dict(type='PyAVInit'), SAMPLE, dict(type='PyAVDecode')],
    'opencv': [dict(type='OpenCVInit'), SAMPLE, dict(type='OpenCVDecode')],
}


def spoil(data: bytes, kind: str) -> bytes:
    """Damage that readers meet with errors of all kinds."""
    if kind == 'cut':
        return data[: len(data) // 3]
    old, new = {
        'name': (b'Lavf', b'\xffavf'),  # of the encoder, no UTF-8 now
        'codec': (b'avc1', b'zzzz'),
        'sizes': (b'stsz', b'stsq'),
    }[kind]
    head, tail = data.rsplit(old, 1)
    return head + new + tail


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp('videos')
    write_video(root / 'good.mp4', moving_frames(24))
    for kind in ('cut', 'name', 'codec', 'sizes'):
        data = (root / 'good.mp4').read_bytes()
        (root / f'{kind}.mp4').write_bytes(spoil(data, kind))
    return root


def build(root, names, *transforms):
    samples = [
        dict(id=n, domain='human', label=0, video=dict(path=f'{n}.mp4'))
        for n in names
    ]
    write_annotation(root / 'some.json', samples)
    video = [*transforms, dict(type='FormatShape', input_format='NCTHW')]
    return DATASETS.build(
        dict(
            type='AudioVisualDataset',
            ann_file='some.json',
            data_root=str(root),
            modalities=['video'],
            on_error='skip',
            max_errors=1,
            pipeline=[
                dict(type='MultiModalPipeline', video=video),
                dict(type='PackMultiModalInputs'),
            ],
        )
    )


@pytest.mark.parametrize(
    ('kind', 'decoder'),
    [
        ('name', 'pyav'),
        ('codec', 'own'),
        ('sizes', 'pyav'),
        ('cut', 'opencv'),
        ('codec', 'opencv'),
    ],
)
def test_a_damaged_file_is_skipped_whatever_is_raised(videos, kind, decoder):
    dataset = build(videos, [kind, 'good'], *DECODERS[decoder])
    assert dataset[0]['data_samples'].sample_id == 'good'
    assert dataset.unreadable_ids == [kind]


@pytest.mark.parametrize(
    ('transforms', 'error'),
    [
        (DECODERS['opencv'][1:], KeyError),
        ([*DECODERS['own'], lambda results: results['imgs'][99]], IndexError),
        ([*DECODERS['own'], lambda results: results.shape], AttributeError),
    ],
)
def test_a_mistake_is_not_blamed_on_a_whole_file(videos, transforms, error):
    with pytest.raises(error):
        build(videos, ['good'], *transforms)[0]


def test_images_and_sounds_are_opened_too(tmp_path):
    for number, image in enumerate(moving_frames(3), start=1):
        mmcv.imwrite(image, str(tmp_path / f'{number}.png'))
    frames = dict(path=str(tmp_path), num_frames=3, filename_tmpl='{}.png')
    write_audio(tmp_path / 'a.wav', moving_frames(1).reshape(-1) / 255 - 0.5)
    sound = dict(path=str(tmp_path / 'a.wav'))
    assert find_damage(dict(video=frames, audio=sound)) is None
    (tmp_path / '2.png').write_bytes(b'no image')
    assert '2.png' in str(find_damage(dict(video=frames, audio=sound)))
    (tmp_path / 'a.wav').write_bytes(b'no sound')
    assert 'a.wav' in str(find_damage(dict(audio=sound)))
