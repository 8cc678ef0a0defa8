"""Each strategy's config on mini-HAC through MMAction2's own train.py."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.test_end_to_end.test_stock_scripts import (
    NAME,
    ROOT,
    SCRIPTS,
    options,
    run,
    scalars,
)

MODALITIES = ('video', 'audio')
STEPS = 7
#: What lets a strategy act within the few steps of a test.
DROP_ALL = [
    'train_dataloader.dataset.indices=4',  # one step
    'model.feature_transforms.0.warmup_epochs=0',
    'model.feature_transforms.0.p_exe=1.0',
    'model.feature_transforms.0.q_base=1.0',
]
OVERRIDES = {
    'drb': [
        'train_cfg.max_epochs=2',
        'train_cfg.val_interval=1',
        'default_hooks.drb.interval=1',
        'default_hooks.drb.order=before_validation',
    ],
    'grad-blending': [
        'train_cfg.max_epochs=2',
        'train_cfg.val_interval=1',
        'default_hooks.grad_blending.super_epoch=2',
    ],
    'grad-blending-copies': ['default_hooks.grad_blending.super_epoch=1'],
    'arl': ['optim_wrapper.modulation.start_epoch=0'],
    'opm': DROP_ALL,
    'opm-ogm': DROP_ALL,
}


FOLDERS = {'pcgrad': 'configs/gmp/ablations'}  # a row of Table 4


@dataclass(frozen=True)
class Outcome:
    """What a run has left behind."""

    work_dir: Path
    log: str

    @cached_property
    def lines(self) -> list[dict[str, float]]:
        return scalars(self.work_dir)

    @property
    def steps(self) -> list[dict[str, float]]:
        return [line for line in self.lines if 'loss' in line]

    @cached_property
    def checkpoint(self) -> dict[str, Any]:
        last = (self.work_dir / 'last_checkpoint').read_text().strip()
        return torch.load(last, weights_only=True)

    @property
    def modulation(self) -> dict[str, torch.Tensor]:
        return self.checkpoint['optimizer']['task_gradient']['modulation']

    def method(self, name: str) -> torch.Tensor:
        return self.checkpoint['state_dict'][f'methods.0.{name}']

    def coefficients(self, task: str = 'semantic') -> torch.Tensor:
        """Factors in every step, ``(steps, M)``."""
        return torch.tensor(
            [
                [line[f'{task}_coefficient_{m}'] for m in MODALITIES]
                for line in self.steps
            ],
            dtype=torch.double,
        )

    def momentum(self, modality: str) -> float:
        """Largest entry of Adam's first moment in an encoder."""
        names = [
            name
            for name in self.checkpoint['state_dict']
            if not name.endswith(('running_mean', 'running_var', 'tracked'))
        ]
        state = self.checkpoint['optimizer']['state']
        return max(
            state[index]['exp_avg'].abs().max().item()
            for index, name in enumerate(names)
            if name.startswith(f'encoders.{modality}.')
            and index in state  # not those of frozen stages
        )


@pytest.fixture(scope='module')
def trained(mini_hac, tmp_path_factory):
    """Train a strategy once, however many tests ask for it."""
    done: dict[str, Outcome] = {}

    def train(name: str) -> Outcome:
        if name not in done:
            work_dir = tmp_path_factory.mktemp(name)
            log = run(
                SCRIPTS / 'train.py',
                ROOT
                / FOLDERS.get(name, 'configs/balance')
                / NAME.format(name),
                work_dir,
                '--seed',
                0,
                *options(mini_hac, *OVERRIDES.get(name, [])),
                cwd=work_dir,
            )
            done[name] = Outcome(work_dir, log)
        return done[name]

    return train


def check_cggm(outcome, trained):
    """Factors are 1.3 B; the model has been told the last B."""
    balance = outcome.modulation['last_balance']
    torch.testing.assert_close(outcome.coefficients()[-1], 1.3 * balance)
    assert torch.equal(outcome.method('balance'), balance.float())
    first, second = outcome.steps[:2]
    assert first['loss_cls_direction'] == 0 != second['loss_cls_direction']
    groups = outcome.checkpoint['optimizer']['param_groups']
    assert len({group['lr'] for group in groups}) == 2
    assert all(0 <= a <= 1 for a in outcome.modulation['previous'].tolist())


def check_drb(outcome, trained):
    """Both encoders were diagnosed after the second epoch."""
    state = outcome.checkpoint['drb_hook']
    assert state['done'] == 1
    assert list(state['initial']) == list(MODALITIES)
    for modality in MODALITIES:
        assert f'DRBHook: encoder {modality!r} has a purity' in outcome.log


def check_balgrad(outcome, trained):
    """The fused gradient is compared with that of the divergences."""
    for line in outcome.steps:
        assert line['alignment_grad_norm_video'] > 0
        assert line['loss_align_kl_audio'] > 0
        # Both encoders are one vector.
        assert line['conflict_video'] == line['conflict_audio']
        assert 'domain_grad_norm_video' not in line


def check_ogm(outcome, trained):
    """The encoder that is ahead, and no other, is damped as the rule says."""
    factors = outcome.coefficients()
    ratios = torch.tensor(
        [
            [line[f'semantic_ratio_{m}'] for m in MODALITIES]
            for line in outcome.steps
        ],
        dtype=torch.double,
    )
    expected = torch.where(ratios > 1, 1 - torch.tanh(0.5 * ratios), 1.0)
    torch.testing.assert_close(factors, expected)
    assert (factors < 1).any()
    assert torch.equal(factors, outcome.coefficients('domain'))


def check_ogm_ge(outcome, trained):
    """Noise parts the run from OGM's after the first update."""
    check_ogm(outcome, trained)
    plain = [line['loss_cls'] for line in trained('ogm').steps]
    noisy = [line['loss_cls'] for line in outcome.steps]
    assert noisy[0] == plain[0]
    assert noisy[1] != plain[1]


def check_agm(outcome, trained):
    """One factor is below 1, the other above; the history is counted."""
    factors = outcome.coefficients()
    assert (factors.amin(1) < 1).all()
    assert (factors.amax(1) > 1).all()
    assert outcome.modulation['num_updates'] == STEPS
    assert outcome.modulation['running_scores'].min() > 0


def check_agm_logits(outcome, trained):
    """The history is the model's, and the optimizer wrapper knows nothing."""
    assert outcome.method('num_updates') == STEPS
    assert outcome.method('running_scores').min() > 0
    first = outcome.steps[0]
    assert {'loss_cls_shares', 'loss_domain'} <= set(first)
    assert 'loss_cls' not in first
    assert 'semantic_coefficient_video' not in first


def check_grad_blending(outcome, trained):
    """The weights follow from the losses of two epochs."""
    assert outcome.method('num_boundaries') == 2
    weights = outcome.method('weights')
    assert weights.sum().item() == pytest.approx(1)
    assert (outcome.method('boundary_losses') > 0).all()
    assert 'GradBlendingHook: weights are now fused' in outcome.log


def check_fixed(outcome, trained):
    """The weights stay the ones given."""
    assert outcome.method('weights').tolist() == pytest.approx([1 / 3] * 3)
    assert outcome.method('num_boundaries') == 0
    assert {'loss_cls_fused', *(f'loss_cls_{m}' for m in MODALITIES)} <= set(
        outcome.steps[0]
    )


def check_copies(outcome, trained):
    """The weights are there before the first step."""
    assert outcome.method('num_boundaries') == 1
    blend = [outcome.steps[0][f'blend_{h}'] for h in ('fused', *MODALITIES)]
    assert blend == pytest.approx(outcome.method('weights').tolist())


def check_opm(outcome, trained):
    """Hidden from every sample, the encoder that is ahead learns nothing."""
    (step,) = outcome.steps
    ahead, behind = sorted(
        MODALITIES, key=lambda m: -step[f'semantic_ratio_{m}']
    )
    assert step[f'semantic_ratio_{ahead}'] > 1
    assert outcome.momentum(ahead) < 1e-7 < outcome.momentum(behind)


def check_opm_ogm(outcome, trained):
    check_opm(outcome, trained)
    check_ogm(outcome, trained)


def check_pcgrad(outcome, trained):
    """Each encoder's two gradients are compared, none is damped."""
    for line in outcome.steps:
        assert 'semantic_coefficient_video' not in line
        for m in MODALITIES:
            assert line[f'conflict_{m}'] == (line[f'cosine_{m}'] < 0)
            assert line[f'domain_grad_norm_{m}'] > 0


def check_gramian(outcome, trained):
    """The two gradients of each encoder are compared, none is damped."""
    check_pcgrad(outcome, trained)


def check_mmpareto(outcome, trained):
    """The fused gradient is compared with that of each head."""
    for line in outcome.steps:
        for m in MODALITIES:
            assert line[f'loss_unimodal_{m}'] > 0
            assert line[f'unimodal_grad_norm_{m}'] > 0
            assert line[f'conflict_{m}'] == (line[f'cosine_{m}'] < 0)


def check_dgl(outcome, trained):
    """Nothing of the fused loss reaches an encoder."""
    assert (outcome.coefficients() == 0).all()
    assert (outcome.coefficients('domain') == 1).all()
    assert outcome.steps[0]['loss_unimodal_audio'] > 0


def check_arl(outcome, trained):
    """Factors are between 1 and 2, for all tasks alike."""
    factors = outcome.coefficients()
    assert ((factors > 1) & (factors < 2)).all()
    torch.testing.assert_close(
        factors.sum(1), torch.full((STEPS,), 3.0).double()
    )
    assert torch.equal(factors, outcome.coefficients('domain'))
    assert outcome.steps[0]['loss_unimodal_video'] > 0


def check_mwam(outcome, trained):
    """Each encoder's factor follows its input, from 1 on."""
    factors = outcome.coefficients()
    assert (factors[0] == 1).all()
    assert ((factors[1:] > 0.5) & (factors[1:] < 1.5)).all()
    assert (factors[1:] != 1).all()
    assert torch.equal(factors, outcome.coefficients('domain'))
    assert (outcome.modulation['bank'] > 0).all()


def check_pmr(outcome, trained):
    """Prototypes were made for the last epoch, and pull."""
    assert outcome.method('known').any()
    assert outcome.method('epoch') >= 0
    assert outcome.method('prototypes_audio').any()
    assert all('loss_cls_prototypes' in line for line in outcome.steps)


def check_inforeg(outcome, trained):
    """Gradients keep their factors; weights of the epoch's start are kept."""
    assert (outcome.coefficients() == 1).all()
    assert set(outcome.modulation['anchor']) == set(MODALITIES)
    assert (outcome.modulation['fisher'] > 0).all()


CHECKS = {
    'pmr': check_pmr,
    'inforeg': check_inforeg,
    'redreg': check_inforeg,
    'mwam': check_mwam,
    'arl': check_arl,
    'gramian': check_gramian,
    'mmpareto': check_mmpareto,
    'dgl': check_dgl,
    'cggm': check_cggm,
    'drb': check_drb,
    'balgrad': check_balgrad,
    'ogm': check_ogm,
    'ogm-ge': check_ogm_ge,
    'agm': check_agm,
    'agm-logits': check_agm_logits,
    'grad-blending': check_grad_blending,
    'grad-blending-fixed': check_fixed,
    'grad-blending-copies': check_copies,
    'opm': check_opm,
    'opm-ogm': check_opm_ogm,
    'pcgrad': check_pcgrad,
}


def test_every_strategy_has_a_check():
    names = {
        path.name.removesuffix(NAME.format(''))
        for path in (ROOT / 'configs/balance').glob(NAME.format('*'))
    }
    # UMT's run needs the networks of its modalities (test_run_benchmark).
    assert names - {'umt'} == set(CHECKS) - set(FOLDERS)


@pytest.mark.slow  # two steps of each are elsewhere
@pytest.mark.parametrize('name', CHECKS)
def test_an_epoch_of_a_strategy(name, trained):
    outcome = trained(name)
    for line in outcome.lines:
        for key, value in line.items():
            assert math.isfinite(value), (key, json.dumps(line))
    epochs = max(line['epoch'] for line in outcome.steps)
    assert sum('acc/top1' in line for line in outcome.lines) == epochs
    assert list(outcome.work_dir.glob('best_acc_top1_epoch_*.pth'))
    state = outcome.checkpoint['optimizer']['task_gradient']
    assert state['steps'] == len(outcome.steps)
    CHECKS[name](outcome, trained)
