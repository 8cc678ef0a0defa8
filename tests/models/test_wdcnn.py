"""WDCNN, alone and in an encoder."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmgmp.models.backbones import WDCNN
from mmgmp.models.encoders import ModalityEncoder

BACKBONE = dict(type='WDCNN', in_channels=3)


def test_shapes_are_those_of_the_paper():
    """Table 2 of Sensors 17(2):425: a window of 2048 samples."""
    network = WDCNN()
    state = torch.zeros(1, 1, 2048)
    shapes = []
    for stage in range(5):
        state = network.run_stage(state, stage)
        shapes.append(tuple(state.shape[1:]))
    assert shapes == [(16, 64), (32, 32), (64, 16), (64, 8), (64, 3)]
    convs = [m for m in network.modules() if isinstance(m, nn.Conv1d)]
    assert (convs[0].kernel_size, convs[0].stride) == ((64,), (16,))
    assert {conv.kernel_size for conv in convs[1:]} == {(3,)}


@pytest.mark.parametrize('channels', [(8,), (8, 8), (16, 32, 64, 64, 64)])
def test_the_shortest_window_is_the_one_it_says(channels):
    network = WDCNN(channels=channels).eval()
    least = network.min_samples
    assert network(torch.zeros(1, 1, least)).shape == (1, channels[-1], 1)
    with pytest.raises(ValueError, match=f'at least {least} samples, got'):
        network(torch.zeros(1, 1, least - 1))
    # It is not too strict: without the check nothing is left of this.
    blocks = nn.Sequential(*network.blocks)
    with pytest.raises(RuntimeError, match='size|small'):
        blocks(torch.zeros(1, 1, least - 1))


@pytest.mark.parametrize('shape', [(2, 2, 2048), (2, 1, 1, 2048)])
def test_a_signal_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r'takes signals \(N, 1, L\)'):
        WDCNN()(torch.zeros(shape))


@pytest.mark.parametrize(
    'options',
    [
        dict(channels=()),
        dict(in_channels=0),
        dict(stride=0),
        dict(kernel_size=8),
    ],
)
def test_numbers_that_cannot_be(options):
    with pytest.raises(ValueError, match='WDCNN needs'):
        WDCNN(**options)


@pytest.mark.parametrize('frozen', [-1, 0, 3])
@pytest.mark.parametrize('with_cp', [False, True])
def test_stages_equal_the_whole(frozen, with_cp):
    encoder = ModalityEncoder(BACKBONE, frozen_stages=frozen, with_cp=with_cp)
    inputs = torch.randn(4, 3, 1024)
    expected = encoder.eval().backbone(inputs).mean(2)
    assert encoder.out_channels == 64
    torch.testing.assert_close(encoder(inputs), expected)
    # As the pipeline gives it: one clip.
    torch.testing.assert_close(encoder(inputs[:, None]), expected)
    encoder.train()(inputs).sum().backward()
    moved = {
        int(name.split('.')[2])
        for name, parameter in encoder.named_parameters()
        if parameter.grad is not None
    }
    assert moved == set(range(frozen + 1, 5))


def test_several_windows_are_averaged():
    encoder = ModalityEncoder(BACKBONE).eval()
    clips = torch.randn(2, 3, 3, 1024)
    expected = torch.stack([encoder(clips[:, i]) for i in range(3)]).mean(0)
    torch.testing.assert_close(encoder(clips), expected, atol=1e-5, rtol=1e-4)


def test_a_layout_of_pictures_changes_nothing():
    plain = ModalityEncoder(BACKBONE).eval()
    other = ModalityEncoder(BACKBONE, channels_last=True).eval()
    other.load_state_dict(plain.state_dict())
    inputs = torch.randn(2, 3, 1024)
    torch.testing.assert_close(other(inputs), plain(inputs))


def test_nothing_left_to_train_is_refused():
    with pytest.raises(ValueError, match=r'must be in -1\.\.3, got 4'):
        ModalityEncoder(BACKBONE, frozen_stages=4)


def test_mixed_precision_gives_a_full_feature():
    encoder = ModalityEncoder(BACKBONE)
    with torch.autocast('cpu', torch.bfloat16):
        feature = encoder(torch.randn(4, 3, 1024))
    assert feature.dtype == torch.float32
    assert feature.isfinite().all()
