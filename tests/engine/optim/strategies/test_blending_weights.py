from __future__ import annotations

import pytest
import torch

from mmgmp.engine.optim.strategies.blending_weights import blending_weights


def weights(audio_end=2.2, **kwargs):
    """Losses of fused, video and audio head."""
    return blending_weights(
        (torch.tensor([2.0, 2.0, 2.2]), torch.tensor([1.0, 1.4, 1.9])),
        (torch.tensor([2.2, 2.1, 2.3]), torch.tensor([1.6, 1.7, audio_end])),
        **kwargs,
    ).tolist()


def test_worked_weights():
    expected = [0.230769, 0.615385, 0.153846]
    assert weights() == pytest.approx(expected, abs=1e-5)


def test_a_head_that_generalises_worse_gets_nothing():
    expected = [0.272727, 0.727273, 0]
    assert weights(2.4) == pytest.approx(expected, abs=1e-5)


def test_the_sign_of_the_gain_can_be_ignored():
    """G = (0.6, 0.4, 0.1), O = (0.4, 0.2, 0.4): G / O^2 = 3.75, 10, 0.625."""
    expected = [3.75 / 14.375, 10 / 14.375, 0.625 / 14.375]
    assert weights(2.4, negative='abs') == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize('previous', [None, torch.tensor([0.5, 0.3, 0.2])])
def test_without_any_gain_the_weights_stay(previous):
    losses = torch.tensor([2.0, 1.0, 3.0])
    same = blending_weights((losses, losses), (losses, losses), previous)
    expected = [1 / 3] * 3 if previous is None else previous.tolist()
    assert same.tolist() == pytest.approx(expected)


def test_no_overfitting_is_floored_and_sums_to_one():
    start, end = torch.tensor([2.0, 2.0]), torch.tensor([1.0, 1.9])
    result = blending_weights((start, end), (start, end))
    assert result.tolist() == pytest.approx([1 / 1.1, 0.1 / 1.1], abs=1e-5)


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_losses_that_are_not_finite_leave_the_weights_alone(bad):
    start, end = torch.tensor([2.0, bad]), torch.tensor([1.0, 1.9])
    old = torch.tensor([0.9, 0.1])
    result = blending_weights((start, end), (start, end), old)
    assert torch.equal(result, old)


def test_an_unknown_treatment_is_explained():
    with pytest.raises(ValueError, match="'clip', 'abs'.*got 'keep'"):
        weights(negative='keep')
