from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgmp.datasets import (
    FrequencyMask,
    LogMelSpectrogram,
    LogSpectrogram,
    SpectrogramNoise,
)


def published_front_end(samples: np.ndarray) -> np.ndarray:
    """The protocol, step by step, with every scipy default written out."""
    samples = samples[:160000]
    if len(samples) == 0:
        samples = np.zeros(160000)
    while len(samples) < 160000:
        samples = np.tile(samples, 10)[:160000]
    samples = np.where(samples > 1, 1, np.where(samples < -1, -1, samples))
    _, _, power = scipy.signal.spectrogram(
        samples,
        16000,
        window=('tukey', 0.25),
        nperseg=512,
        noverlap=353,
        detrend='constant',
        return_onesided=True,
        scaling='density',
        mode='psd',
    )
    power = np.log(power + 1e-7)
    return (power - np.mean(power)) / (np.std(power) + 1e-9)


def spectrogram(wave: np.ndarray, **options) -> np.ndarray:
    results = dict(waveform=wave, sample_rate=16000)
    return LogSpectrogram(**options)(results)['audios']


@pytest.mark.parametrize('length', [1, 700, 16000, 53211, 160000, 200000])
@pytest.mark.parametrize('scale', [1e-3, 0.3, 3.0])
def test_equals_the_published_front_end(length, scale):
    rng = np.random.default_rng(length)
    wave = (scale * rng.normal(size=length)).astype(np.float32)
    audios = spectrogram(wave)
    assert audios.shape == (1, 257, 1004)
    assert audios.dtype == np.float32
    expected = published_front_end(wave.astype(np.float64))
    np.testing.assert_allclose(audios[0], expected, atol=1e-4)


@settings(deadline=None)
@given(
    length=st.integers(0, 9000),
    num_samples=st.integers(512, 8000),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 100.0]),
)
def test_any_waveform_gives_a_finite_standardised_array(
    length, num_samples, scale
):
    wave = scale * np.random.default_rng(length).normal(size=length)
    audios = spectrogram(wave, num_samples=num_samples)
    assert audios.shape == (1, 257, (num_samples - 353) // 159)
    assert np.isfinite(audios).all()
    assert abs(audios.mean()) < 1e-3


@pytest.mark.parametrize('front_end', [LogSpectrogram, LogMelSpectrogram])
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_no_spectrogram_is_made_of_what_is_no_number(front_end, value):
    wave = np.where(np.arange(8000) == 5000, value, 0.1)
    results = dict(waveform=wave, sample_rate=16000, filename='a.wav')
    with pytest.raises(OSError, match=r'a\.wav holds samples that are NaN'):
        front_end(num_samples=8000)(results)


@pytest.mark.parametrize('front_end', [LogSpectrogram, LogMelSpectrogram])
@pytest.mark.parametrize('length', [0, 400])
def test_silence_gives_zeros(front_end, length):
    results = dict(waveform=np.zeros(length), sample_rate=16000)
    audios = front_end(num_samples=8000)(results)['audios']
    np.testing.assert_allclose(audios, 0, atol=1e-4)


def test_log_mel_follows_pitch():
    def loudest(frequency: float) -> int:
        wave = np.sin(2 * np.pi * frequency * np.arange(16000) / 16000)
        results = dict(waveform=wave, sample_rate=16000)
        audios = LogMelSpectrogram(num_samples=16000, n_mels=64)(results)
        assert audios['audios'].shape == (1, 64, 101)
        return int(audios['audios'][0].mean(axis=1).argmax())

    assert loudest(300) < loudest(1000) < loudest(4000)


@pytest.mark.parametrize(
    ('options', 'name'),
    [
        ({'num_samples': 511}, 'num_samples'),
        ({'noverlap': 512}, 'noverlap'),
        ({'log_eps': 0.0}, 'log_eps'),
    ],
)
def test_bad_options_name_their_key(options, name):
    with pytest.raises(ValueError, match=name):
        LogSpectrogram(**options)


def test_noise_is_bounded_centred_and_seeded():
    audios = np.ones((1, 257, 400), np.float32)
    draws = []
    for seed in (0, 0, 1):
        np.random.seed(seed)
        draws.append(SpectrogramNoise(0.05)(dict(audios=audios))['audios'])
    noise = draws[0] - 1
    assert 0.049 < np.abs(noise).max() < 0.0501
    assert abs(noise.mean()) < 1e-3
    assert draws[0].dtype == np.float32
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    assert (audios == 1).all()


def test_mask_hides_one_band_in_the_published_range():
    audios = np.ones((1, 257, 5), np.float32)
    starts = set()
    for seed in range(2000):
        np.random.seed(seed)
        masked = FrequencyMask(9)(dict(audios=audios))['audios'][0]
        hidden = np.flatnonzero((masked == 0).all(axis=1))
        assert len(hidden) == 9
        assert hidden[-1] - hidden[0] == 8
        starts.add(int(hidden[0]))
    assert min(starts) == 0
    assert max(starts) == 246
    assert (audios == 1).all()


@pytest.mark.parametrize(
    ('build', 'name'),
    [
        (lambda: SpectrogramNoise(-0.1), 'amplitude'),
        (lambda: FrequencyMask(0), 'width'),
        (
            lambda: FrequencyMask(9)(dict(audios=np.ones((1, 10, 4)))),
            'width must be < F - 1',
        ),
    ],
)
def test_bad_augmentations_name_their_key(build, name):
    with pytest.raises(ValueError, match=name):
        build()
