"""MWAM: hand-computed cases, and what its running mean forgets or keeps."""

from __future__ import annotations

import math

import pytest
import torch

from mmgmp.engine.optim import MWAMModulation, TaskGradientOptimWrapper
from tests.engine.optim.toy import ToyModel, toy_data

from .toy_strategies import signals

RELEASED = dict(normalise='cross', ratio='abs', soft_begin=True)


def step(modulation, ratio):
    """Factors for these ratios."""
    ones = (1.0,) * len(ratio)
    means = dict(
        frequency_ratio=ratio,
        frequency_count=ones,
        frequency_low=ratio,
        frequency_high=ones,
    )
    return modulation.factors(signals(ones, **means))


def close(found, expected, tolerance=1e-6):
    assert found.tolist() == pytest.approx(expected, abs=tolerance)


def test_released_first_second_and_steady_step():
    mwam = MWAMModulation(**RELEASED)
    close(step(mwam, (1.0, 3.0)), (1.000002, 0.5))
    close(mwam.bank, (0.5, 1.5))
    close(step(mwam, (1.0, 3.0)), (1.465555, 0.500045))
    close(mwam.bank, (0.75, 2.25))
    for _ in range(40):
        factors = step(mwam, (1.0, 3.0))
    close(factors, (1.493307, 0.506693))


@pytest.mark.parametrize('ratio', ['energy', 'abs'])
@pytest.mark.parametrize('numbers', [(1e-8, 3.0), (2.0, 5e5, 7.0), (4.0,)])
def test_each_against_its_own_past(ratio, numbers):
    mwam = MWAMModulation(ratio=ratio)
    for _ in range(2):
        close(step(mwam, numbers), (1.0,) * len(numbers))
    twice = step(mwam, [2 * x for x in numbers])
    # b = 1.5 r, x = 4 / 3
    close(twice, [1.5 - 1 / (1 + math.exp(-10 / 3))] * len(numbers))


def test_equal_modalities_and_swaps():
    mwam = MWAMModulation(normalise='cross')
    close(step(mwam, (2.0, 2.0)), (1.0, 1.0), 1e-5)
    first, second = (
        step(MWAMModulation(normalise='cross'), numbers)
        for numbers in ((1.0, 2.0, 5.0), (5.0, 2.0, 1.0))
    )
    assert torch.equal(first, second.flip(0))
    assert ((first > 0.5) & (first < 1.5)).all()


def test_no_high_frequencies_are_the_cap_and_one_warning():
    mwam = MWAMModulation()
    for _ in range(2):
        factors = mwam.factors(
            signals(frequency_low=(64.0, 4.0), frequency_high=(0.0, 2.0))
        )
        close(factors, (1.0, 1.0))
        close(mwam.bank, (1e6, 2.0))
    remark = mwam.epoch_remark()
    assert "['video']" in remark
    assert 'cut off at 1e+06' in remark
    mwam.factors(signals(frequency_low=(1.0, 1), frequency_high=(0.0, 1)))
    assert mwam.epoch_remark() == ''


@pytest.mark.parametrize('normalise', ['self', 'cross'])
def test_a_modality_that_is_silent_keeps_its_mean(normalise):
    mwam = MWAMModulation(normalise=normalise)
    means = dict(frequency_low=(0.0, 2.0), frequency_high=(0.0, 2.0))
    close(mwam.factors(signals(**means)), (1.0, 1.0), 1e-5)
    close(mwam.bank, (0.0, 1.0))
    step(mwam, (8.0, 1.0))
    close(mwam.bank, (8.0, 1.0))
    factor = mwam.factors(signals(**means))[0]
    close(mwam.bank, (8.0, 1.0))
    assert factor == 1


@pytest.mark.parametrize('bad', [math.nan, math.inf])
@pytest.mark.parametrize('options', [{}, RELEASED])
def test_a_ratio_that_is_not_finite(options, bad):
    mwam = MWAMModulation(**options)
    step(mwam, (1.0, 3.0))
    bank = mwam.bank
    assert step(mwam, (bad, 3.0)).isnan().all()
    assert mwam.bank.isfinite().all()
    if options:
        assert torch.equal(mwam.bank, bank)


def test_bad_options_and_missing_statistics():
    for options in (dict(normalise='none'), dict(ratio='x')):
        with pytest.raises(ValueError, match=r'set optim_wrapper.modulation'):
            MWAMModulation(**options)
    with pytest.raises(ValueError, match='momentum must be in'):
        MWAMModulation(momentum=1.0)
    model = ToyModel()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), MWAMModulation()
    )
    with pytest.raises(ValueError, match='FrequencyRatioMethod'):
        wrapper.update_params(model.loss(toy_data(4)))
