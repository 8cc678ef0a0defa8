from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mmgmp.models.encoders import ModalityEncoder
from mmgmp.models.encoders.stages import split_stages
from mmgmp.registry import MODELS
from mmgmp.testing.toy_configs import toy_slowfast

AUDIO = dict(type='ResNet', depth=18, in_channels=1)
FLOW = dict(
    type='ResNet3dSlowOnly',
    depth=18,
    pretrained=None,
    in_channels=2,
    base_channels=8,
    lateral=False,
)
CASES = {
    'slowfast': (toy_slowfast(), (2, 3, 8, 32, 32)),
    'resnet': (AUDIO, (2, 1, 33, 32)),
    'slowonly': (FLOW, (2, 2, 4, 32, 32)),
    'slowonly-pool2': (dict(FLOW, with_pool2=True), (2, 2, 4, 32, 32)),
}


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('frozen', [-1, 0, 3])
def test_stages_equal_the_backbones_own_forward(case, frozen):
    config, shape = CASES[case]
    torch.manual_seed(0)
    encoder = ModalityEncoder(config, frozen_stages=frozen).eval()
    inputs = torch.randn(shape)
    maps = encoder.backbone(inputs)
    if isinstance(maps, tuple):
        slow, fast = (m.mean((2, 3, 4)) for m in maps)
        expected = torch.cat([fast, slow], 1)
    else:
        expected = maps.flatten(2).mean(2)
    torch.testing.assert_close(encoder(inputs), expected)
    assert encoder.out_channels == expected.shape[1]


def test_the_paper_widths():
    pathway = dict(
        type='resnet3d',
        depth=101,
        pretrained=None,
        conv1_stride_t=1,
        dilations=(1, 1, 1, 1),
        inflate=(0, 0, 1, 1),
    )
    with torch.device('meta'):
        slowfast = MODELS.build(
            dict(
                type='ResNet3dSlowFast',
                pretrained=None,
                resample_rate=4,
                speed_ratio=4,
                channel_ratio=8,
                slow_pathway=dict(
                    pathway,
                    lateral=True,
                    fusion_kernel=7,
                    conv1_kernel=(1, 7, 7),
                ),
                fast_pathway=dict(
                    pathway,
                    lateral=False,
                    base_channels=8,
                    conv1_kernel=(5, 7, 7),
                ),
            )
        )
        resnet = MODELS.build(AUDIO)
    assert split_stages(slowfast).out_channels == 2304
    assert split_stages(resnet).out_channels == 512


@pytest.mark.parametrize('case', CASES)
def test_the_frozen_part_keeps_no_graph_and_no_gradient(case):
    config, shape = CASES[case]
    encoder = ModalityEncoder(config, frozen_stages=3).train()
    state, clips = encoder.forward_frozen(torch.randn(shape))
    for part in state if isinstance(state, tuple) else (state,):
        assert not part.requires_grad
    encoder.forward_trainable((state, clips)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad is ('layer4' in name)
        assert (parameter.grad is not None) is ('layer4' in name)


@pytest.mark.parametrize('frozen_norm_eval', [True, False])
def test_frozen_batch_norms(frozen_norm_eval):
    encoder = ModalityEncoder(
        AUDIO, frozen_stages=3, frozen_norm_eval=frozen_norm_eval
    ).train()
    before = copy.deepcopy(encoder.state_dict())
    encoder(torch.randn(4, 1, 33, 32))
    for name, value in encoder.state_dict().items():
        if 'running_mean' in name:
            moved = not torch.equal(value, before[name])
            assert moved is ('layer4' in name or not frozen_norm_eval), name


def test_several_clips_are_averaged():
    encoder = ModalityEncoder(AUDIO).eval()
    clips = torch.randn(2, 3, 1, 33, 32)
    expected = torch.stack([encoder(clips[:, i]) for i in range(3)]).mean(0)
    torch.testing.assert_close(encoder(clips), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('option', ['channels_last', 'with_cp'])
@pytest.mark.parametrize('case', ['slowfast', 'resnet'])
def test_layout_and_checkpointing_change_nothing(case, option):
    config, shape = CASES[case]
    plain = ModalityEncoder(config, frozen_stages=1).train().double()
    other = ModalityEncoder(config, frozen_stages=1, **{option: True})
    other.train().double().load_state_dict(plain.state_dict())
    inputs = torch.randn(shape, dtype=torch.float64)
    for encoder in (plain, other):
        encoder(inputs).square().sum().backward()
    for a, b in zip(plain.parameters(), other.parameters(), strict=True):
        if a.requires_grad:
            torch.testing.assert_close(a.grad, b.grad)


def test_feature_dropout_only_in_training():
    torch.manual_seed(0)
    encoder = ModalityEncoder(AUDIO, feature_dropout=0.5)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            module.track_running_stats = False
            module.running_mean = module.running_var = None
    inputs = torch.randn(2, 1, 33, 32)
    alive = encoder.eval()(inputs) > 0
    dropped = encoder.train()(inputs)[alive] == 0
    assert 0.2 < dropped.float().mean() < 0.8


@MODELS.register_module(force=True)
class _Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, inputs):
        return self.layer(inputs)


def test_any_other_backbone_needs_its_width():
    with pytest.raises(ValueError, match='out_channels must be given'):
        ModalityEncoder(dict(type='_Plain'))
    with pytest.raises(ValueError, match='frozen_stages=-1'):
        ModalityEncoder(dict(type='_Plain'), frozen_stages=0, out_channels=3)
    encoder = ModalityEncoder(dict(type='_Plain'), out_channels=3)
    assert encoder(torch.zeros(2, 4)).shape == (2, 3)


@pytest.mark.parametrize('frozen', [-2, 4, 9])
def test_freezing_everything_is_refused(frozen):
    with pytest.raises(ValueError, match='frozen_stages must be in -1..3'):
        ModalityEncoder(AUDIO, frozen_stages=frozen)


def test_a_spectrogram_is_a_clip_of_one_frame():
    """A backbone of 3D convolutions takes it, though it would halve time."""
    encoder = ModalityEncoder(
        dict(
            type='ResNet3d',
            depth=18,
            pretrained=None,
            in_channels=1,
            base_channels=4,
            conv1_kernel=(1, 3, 3),
            inflate=(0, 0, 0, 0),
        )
    ).eval()
    spectrogram = torch.rand(2, 1, 33, 40)
    features = encoder(spectrogram)
    assert features.shape == (2, 32)
    assert torch.equal(features, encoder(spectrogram.unsqueeze(2)))
    # With time to halve, it is halved as in MMAction2.
    assert encoder(torch.rand(2, 1, 4, 33, 40)).shape == (2, 32)
