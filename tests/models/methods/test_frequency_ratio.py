"""Low and high frequencies of inputs, by another DCT."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from scipy.fft import dctn

from mmgmp.models.methods.frequency_ratio import FrequencyRatioMethod
from mmgmp.models.recognizers.method_terms import statistics
from mmgmp.structures import FrozenState
from mmgmp.testing.toy_configs import toy_batch
from mmgmp.utils.protocol import check_frozen

from .toy_methods import hand_batch
from .toy_strategies import build, three_steps


def measure(x, present=None, count=None):
    count = len(x) if count is None else count
    inputs = {'video': x}
    if present is not None:
        inputs['present/video'] = present
    batch = hand_batch(
        {'video': torch.zeros(count, 1)}, [0] * count, inputs=inputs
    )
    found = FrequencyRatioMethod({'video': 1}, 2).statistics(batch)
    return {
        name.removeprefix('frequency_'): by['video']
        for name, by in found.items()
    }


def by_scipy(image):
    """The sums of one image ``(C, H, W)``."""
    low = high = ratio = 0.0
    for channel in image.double().numpy():
        for y in range(0, channel.shape[0] - 7, 8):
            for x in range(0, channel.shape[1] - 7, 8):
                block = dctn(channel[y : y + 8, x : x + 8], norm='ortho')
                lo, hi = block[:2, :2], block[:-3:-1, :-3:-1]
                low += (lo**2).sum()
                high += (hi**2).sum()
                ratio += np.abs(lo / (hi + 1e-6)).sum()
    return low, high, ratio


@pytest.mark.parametrize(
    'shape',
    [
        (3, 1, 17, 24),
        (2, 1, 3, 5, 16, 20),
        (2, 1, 2, 4, 8, 8),
        (2, 5, 3, 8, 8),
    ],
)
def test_sums_are_those_of_a_plain_dct(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = measure(x)
    # Frames are averaged, wherever they are; a colour is not.
    images = {4: x, 5: x.mean(1), 6: x.mean(-3)[:, 0]}[x.ndim]
    for row, image in enumerate(images):
        low, high, ratio = by_scipy(image)
        assert found['low'][row].item() == pytest.approx(low, rel=1e-5)
        assert found['high'][row].item() == pytest.approx(high, rel=1e-5)
        assert found['ratio'][row].item() == pytest.approx(ratio, rel=1e-2)


def test_flat_and_checkered_images():
    flat = measure(torch.ones(1, 1, 8, 8))
    assert flat['low'].item() == pytest.approx(64)
    assert flat['high'].item() < 1e-6 * flat['low'].item() * 1e-3
    assert flat['ratio'].item() > 1e5
    sign = (-1.0) ** torch.arange(8)
    checkered = measure((sign[:, None] * sign).expand(1, 1, 8, 8))
    assert checkered['high'].item() > 10 * checkered['low'].item()


def test_samples_without_the_modality():
    x = torch.randn(2, 1, 8, 8)
    present = torch.tensor([False, True, True])
    found = measure(x, present, 3)
    for name, values in measure(x).items():
        assert found[name][0] == 0
        assert torch.equal(found[name][1:], values)
    assert found['count'].tolist() == [0, 1, 1]
    nothing = torch.zeros(3, dtype=torch.bool)
    assert not measure(x[:0], nothing, 3)['low'].any()


def test_inputs_that_it_cannot_see():
    with pytest.raises(ValueError, match=r'8 x 8, got video of shape'):
        measure(torch.zeros(1, 1, 8, 7))
    with pytest.raises(ValueError, match=r'leave protocol.cache out'):
        measure(FrozenState((torch.zeros(2, 4, 3, 3),)), count=2)
    model = dict(
        encoders=dict(audio=dict(frozen_stages=3)),
        methods=[dict(type='FrequencyRatioMethod')],
    )
    with pytest.raises(ValueError, match='must see the inputs'):
        check_frozen(ConfigDict(model), ['audio'])


def test_a_model_trains_with_it():
    modalities = ('audio', 'flow', 'video')
    model = build(
        modalities,
        methods=[dict(type='FrequencyRatioMethod')],
        unimodal_heads=None,
    )
    assert not any('methods' in name for name in model.state_dict())
    wrapper = three_steps(
        model, modalities, modulation=dict(type='MWAMModulation')
    )
    assert (wrapper.modulation.bank > 0).all()


def test_half_precision_inputs_are_measured_in_full():
    x = toy_batch(2, ('audio',))[0]['audio'].bfloat16()
    batch = hand_batch(
        {'audio': torch.zeros(2, 1)}, [0, 1], inputs={'audio': x}
    )
    methods = [FrequencyRatioMethod({'audio': 1}, 2)]
    with torch.autocast('cpu', torch.bfloat16):
        found = statistics(methods, batch)['frequency_low']['audio']
    assert found.dtype == torch.float32
    plain = methods[0].statistics(batch)['frequency_low']['audio']
    assert torch.equal(found, plain)
