from __future__ import annotations

import numpy as np
import pytest

from mmgmp.datasets.transforms import (
    CorruptAudio,
    CorruptedPipeline,
    CorruptVideo,
)
from mmgmp.datasets.transforms.damage import AUDIO, VIDEO

RATE = 16000
RNG = np.random.default_rng(0)
FRAMES = [
    np.kron(RNG.integers(40, 200, (8, 8, 3)), np.ones((8, 8, 1))).astype(
        np.uint8
    )
    for _ in range(2)
]
TIMES = np.arange(RATE) / RATE
WAVE = (0.3 * np.sin(2 * np.pi * 440 * TIMES) * (TIMES < 0.5)).astype(
    np.float32
)


def damaged_video(kind, severity, name='human/a', seed=0):
    results = {'imgs': list(FRAMES), 'sample_id': name}
    return CorruptVideo(kind, severity, seed)(results)['imgs']


def damaged_audio(kind, severity, name='human/a', wave=WAVE):
    results = dict(waveform=wave, sample_rate=RATE, sample_id=name)
    return CorruptAudio(kind, severity)(results)['waveform']


def distance(first, second):
    return float(np.mean((np.float64(first) - np.float64(second)) ** 2))


@pytest.mark.parametrize('kind', VIDEO)
def test_video_gets_worse_with_severity(kind):
    before = [frame.copy() for frame in FRAMES]
    distances = []
    for severity in (1, 2, 3, 4, 5):
        frames = damaged_video(kind, severity)
        assert frames[0].shape == (64, 64, 3)
        assert frames[0].dtype == np.uint8
        distances.append(distance(frames, FRAMES))
    assert distances[0] > 0
    assert distances == sorted(distances)
    np.testing.assert_array_equal(FRAMES, before)


@pytest.mark.parametrize('kind', AUDIO)
def test_sound_gets_worse_with_severity(kind):
    distances = []
    for severity in (1, 2, 3, 4, 5):
        wave = damaged_audio(kind, severity)
        assert wave.shape == WAVE.shape
        assert wave.dtype == np.float32
        assert np.abs(wave).max() <= 1
        distances.append(distance(wave, WAVE))
    assert distances[0] > 0
    if kind != 'reverberation':  # a longer tail is not a louder one
        assert distances == sorted(distances)


@pytest.mark.parametrize('damage', [damaged_video, damaged_audio])
def test_a_sample_is_always_damaged_alike(damage):
    first = damage('noise', 3)
    damage('noise', 3, 'human/b')
    np.testing.assert_array_equal(damage('noise', 3), first)
    assert distance(damage('noise', 3, 'human/b'), first) > 0


def test_another_seed_gives_other_noise():
    first = damaged_video('noise', 3)
    assert distance(damaged_video('noise', 3, seed=1), first) > 0


def test_blur_keeps_the_mean_and_takes_the_edges():
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[:, 32:] = 200
    results = {'imgs': [frame], 'sample_id': 'a'}
    (blurred,) = CorruptVideo('blur', 5)(results)['imgs']
    assert blurred.mean() == pytest.approx(frame.mean(), abs=2)
    edge = np.abs(np.diff(blurred[32, :, 0].astype(int))).max()
    assert edge < 100


def test_noise_has_the_stated_loudness():
    noise = damaged_audio('noise', 3) - WAVE
    decibels = 10 * np.log10(np.mean(WAVE**2) / np.mean(noise**2))
    assert decibels == pytest.approx(10, abs=0.1)


def test_wind_is_low():
    noise = damaged_audio('wind', 1) - WAVE
    power = np.abs(np.fft.rfft(noise)) ** 2
    assert power[:400].sum() > 0.95 * power.sum()


def test_reverberation_sounds_on_after_the_end():
    dry, wet = WAVE[RATE * 6 // 10 :], damaged_audio('reverberation', 4)
    assert np.abs(dry).max() == 0
    assert np.abs(wet[RATE * 6 // 10 :]).max() > 0.01


@pytest.mark.parametrize('kind', AUDIO)
@pytest.mark.parametrize('length', [0, 10])
def test_silence_stays_silence(kind, length):
    silence = np.zeros(length, np.float32)
    wave = damaged_audio(kind, 5, wave=silence)
    np.testing.assert_array_equal(wave, silence)


def array_pipeline(**corruptions):
    return CorruptedPipeline(
        [
            dict(
                type='MultiModalPipeline',
                video=[
                    dict(type='PyAVSeekInit'),
                    dict(type='SampleFrames', clip_len=2, test_mode=True),
                    dict(type='PyAVSeekDecode'),
                    dict(type='Resize', scale=(32, 32), keep_ratio=False),
                    dict(type='FormatShape', input_format='NCTHW'),
                ],
                audio=[
                    dict(type='LoadAudioSegment', crop='clip'),
                    dict(type='LogSpectrogram', num_samples=8000),
                ],
            ),
            dict(type='PackMultiModalInputs'),
        ],
        corruptions,
    )


def sample():
    return dict(
        sample_id='human/a',
        modalities=('video', 'audio'),
        sources=dict(
            video=dict(array=np.stack(FRAMES * 6), fps=24.0),
            audio=dict(waveform=WAVE, sample_rate=RATE),
        ),
    )


def test_a_pipeline_damages_the_named_modality_only():
    clean = array_pipeline()(sample())['inputs']
    video = array_pipeline(video=dict(type='CorruptVideo', kind='noise'))
    packed = video(sample())
    assert (packed['inputs']['audio'] == clean['audio']).all()
    assert (packed['inputs']['video'] != clean['video']).any()
    assert packed['data_samples'].sample_id == 'human/a'
    audio = array_pipeline(audio=dict(type='CorruptAudio', kind='noise'))
    inputs = audio(sample())['inputs']
    assert (inputs['video'] == clean['video']).all()
    assert (inputs['audio'] != clean['audio']).any()


def test_the_picture_is_damaged_before_it_is_resized():
    """Noise of single pixels is averaged by the resizing that follows."""
    config = dict(type='CorruptVideo', kind='noise', severity=5)
    clean = array_pipeline()(sample())['inputs']['video']
    noisy = array_pipeline(video=config)(sample())['inputs']['video']
    frames = damaged_video('noise', 5)
    assert 0 < distance(noisy, clean) < 0.7 * distance(frames, FRAMES)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: CorruptVideo('wind'), "one of .*'blur'.* got 'wind'"),
        (lambda: CorruptAudio('wind', 6), r'\[1, 2, 3, 4, 5\], got 6'),
        (
            lambda: CorruptVideo('noise')({'imgs': FRAMES}),
            'needs sample_id or filename',
        ),
        (
            lambda: array_pipeline(
                flow=dict(type='CorruptVideo', kind='blur')
            ),
            "got 'flow'",
        ),
        (
            lambda: array_pipeline(
                audio=dict(type='CorruptVideo', kind='blur')
            )(sample()),
            "must find 'imgs'",
        ),
        (
            lambda: CorruptedPipeline([dict(type='PyAVSeekInit')], {}),
            'one MultiModalPipeline, got 0',
        ),
    ],
)
def test_what_cannot_be_damaged(make, message):
    with pytest.raises(ValueError, match=message):
        make()
