from __future__ import annotations

import copy
import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.dist import barrier, broadcast_object_list
from mmengine.logging import MessageHub
from mmengine.runner import Runner

from mmgmp.engine.hooks import grad_blending_hook
from mmgmp.engine.hooks.grad_blending_hook import GradBlendingHook, measure
from mmgmp.engine.optim.strategies.blending_weights import blending_weights
from mmgmp.models.methods.grad_blending import GradBlendingMethod
from mmgmp.structures import LossBlender
from tests.processes import run_ranks

from .toy_run import (
    MODALITIES,
    run,
    run_on_rank,
    toy_config,
    train,
    without_validation,
)

HEADS = dict(
    type='MLPClassifierHead', num_classes=3, hidden_channels=0, dropout=0.0
)
MODEL = dict(
    methods=[dict(type='GradBlendingMethod')],
    unimodal_heads=HEADS,
    cls_head=dict(
        type='MLPClassifierHead', num_classes=3, hidden_channels=8, dropout=0.0
    ),
)
HOOK = dict(type='GradBlendingHook', super_epoch=2)
H = 1 + len(MODALITIES)


def blender_of(model):
    return next(m for m in model.modules() if isinstance(m, LossBlender))


def watched(work_dir, epochs, hook=HOOK, **kwargs):
    """What the method holds after each epoch."""
    seen = []

    def look(runner):
        method = blender_of(runner.model)
        seen.append({k: v.clone() for k, v in method.state_dict().items()})

    runner = run(work_dir, epochs, [hook], look, model=MODEL, **kwargs)
    return runner, seen


@pytest.mark.parametrize(
    ('super_epoch', 'expected'), [(1, [0, 1, 2, 3, 4]), (3, [0, 2])]
)
def test_boundaries(super_epoch, expected):
    hook = GradBlendingHook(super_epoch=super_epoch)
    assert [e for e in range(5) if hook.is_boundary(e)] == expected


def test_tracked_weights_follow_from_the_losses_at_the_boundaries(tmp_path):
    runner, seen = watched(tmp_path, 5)
    third = torch.full((H,), 1 / 3)
    assert [int(s['num_boundaries']) for s in seen] == [1, 2, 2, 3, 3]
    torch.testing.assert_close(seen[0]['weights'], third)
    for before, after in ((0, 1), (2, 3)):
        start = seen[before]['boundary_losses']
        end = seen[after]['boundary_losses']
        expected = blending_weights(
            (start[0], end[0]),
            (start[1], end[1]),
            seen[before]['weights'].double(),
        )
        torch.testing.assert_close(seen[after]['weights'], expected.float())
    assert not torch.allclose(seen[3]['weights'], third)
    assert seen[3]['weights'].sum().item() == pytest.approx(1)
    scalars = runner.message_hub.log_scalars
    assert 'train/blend_fused' in scalars


def test_losses_are_means_over_samples_in_their_modes(tmp_path, monkeypatch):
    """Nine training samples in batches of 4, 4, 1; six in validation."""
    real, modes = measure, []

    def watch(model, blender, dataloader):
        assert blender.measured()[-1] == 9
        result = real(model, blender, dataloader)
        assert blender.measured()[-1] == 6
        modes.append(model.training)
        return result

    monkeypatch.setattr(grad_blending_hook, 'measure', watch)
    every = dict(type='CheckpointHook', interval=1, by_epoch=False)
    watched(tmp_path, 2, default_hooks=dict(checkpoint=every))
    assert modes == [True, True]
    # What a checkpoint from within an epoch had seen is not added to a run
    # that only starts from its weights.
    path = str(tmp_path / 'iter_2.pth')
    watched(tmp_path / 'next', 1, load_from=path)
    assert len(modes) == 3


def test_validation_losses_are_cross_entropies(tmp_path):
    runner, seen = watched(
        tmp_path, 2, optim_wrapper=dict(optimizer=dict(lr=0.0))
    )
    model = runner.model.eval()
    data = next(iter(runner.val_dataloader))
    rows = []
    for data in runner.val_dataloader:
        data = model.data_preprocessor(data)
        logits = model(data['inputs'])
        labels = torch.cat([s.gt_label for s in data['data_samples']])
        rows.append(
            torch.nn.functional.cross_entropy(logits, labels, reduction='none')
        )
    # Batch norms have moved in the second epoch, the first loss not.
    blender = blender_of(model)
    losses = measure(model, blender, runner.val_dataloader)
    assert losses[0].item() == pytest.approx(
        torch.cat(rows).mean().item(), rel=1e-5
    )
    assert seen[0]['boundary_losses'].shape == (2, H)


def test_momentum_and_smallest_weight(tmp_path, monkeypatch):
    monkeypatch.setattr(
        grad_blending_hook,
        'blending_weights',
        lambda *args: torch.tensor([1.0, 0.0, 0.0]).double(),
    )
    hook = dict(HOOK, momentum=0.4, min_weight=0.25)
    _, seen = watched(tmp_path, 3, hook)
    raw = torch.tensor([0.4 / 3 + 0.6, 0.25, 0.25])
    torch.testing.assert_close(seen[1]['weights'], raw / raw.sum())


def assert_equal(first, second):
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize(
    'cut', [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))]
)
def test_a_resumed_run_continues_bit_for_bit(cut, tmp_path):
    """Also where the first run has ended with a boundary."""
    _, straight = watched(tmp_path / 'straight', 5)
    watched(tmp_path / 'cut', cut)
    _, resumed = watched(tmp_path / 'cut', 5, resume=True)
    for first, second in zip(straight[cut:], resumed, strict=True):
        assert_equal(first, second)


def test_a_run_resumed_within_an_epoch_has_its_training_losses(tmp_path):
    """Three iterations an epoch; the second boundary is after six."""
    kwargs = dict(
        custom_hooks=[HOOK, dict(type='ExactResumeHook')],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False)
        ),
    )
    _, straight = watched(tmp_path, 2, **kwargs)
    _, resumed = watched(
        tmp_path,
        2,
        resume=True,
        load_from=str(tmp_path / 'iter_5.pth'),
        **kwargs,
    )
    assert len(resumed) == 1
    assert int(straight[1]['num_boundaries']) == 2
    assert_equal(straight[1], resumed[0])


@pytest.mark.slow
def test_copies_train_each_head_alone_and_leave_the_model(
    tmp_path, monkeypatch
):
    real, calls = grad_blending_hook.train_copy, []

    def watch(runner, model, head, epochs):
        before = copy.deepcopy(model.state_dict())
        twin = real(runner, model, head, epochs)
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name]), name
        moved = {
            name.split('.')[0] + '.' + name.split('.')[1]
            for name, value in twin.named_parameters()
            if not torch.equal(value, before[name])
        }
        calls.append((runner.epoch, head, epochs, moved))
        return twin

    monkeypatch.setattr(grad_blending_hook, 'train_copy', watch)
    _, seen = watched(tmp_path, 3, dict(HOOK, mode='copies'))
    assert [c[:3] for c in calls] == [
        (epoch, head, 2) for epoch in (0, 2) for head in range(H)
    ]
    assert calls[0][3] == {
        'encoders.video',
        'encoders.flow',
        'cls_head.hidden',
        'cls_head.output',
    }
    assert calls[1][3] == {'encoders.video', 'unimodal_heads.video'}
    assert calls[2][3] == {'encoders.flow', 'unimodal_heads.flow'}
    assert [int(s['num_boundaries']) for s in seen] == [1, 1, 2]
    assert seen[0]['weights'].sum().item() == pytest.approx(1)


@pytest.mark.slow
def test_copies_accumulate_gradients_as_the_training_does(
    tmp_path, monkeypatch
):
    """Two epochs of three iterations are three windows of two."""
    steps, step = [], torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD,
        'step',
        lambda self, *args: (steps.append(1), step(self, *args)),
    )
    real, calls = grad_blending_hook.train_copy, []

    def watch(*args):
        before = len(steps)
        twin = real(*args)
        calls.append(len(steps) - before)
        return twin

    monkeypatch.setattr(grad_blending_hook, 'train_copy', watch)
    watched(
        tmp_path,
        1,
        dict(HOOK, mode='copies'),
        optim_wrapper=dict(accumulative_counts=2),
    )
    assert calls == [3] * H


def weights_of_rank(rank: int, world_size: int):
    seen = []

    def look(runner):
        method = blender_of(runner.model.module)
        seen.append(method.boundary_losses.clone())

    def refresh(runner):
        hook = next(h for h in runner.hooks if isinstance(h, GradBlendingHook))
        model = runner.model.module
        method = blender_of(model)
        hook._remember(
            method,
            grad_blending_hook._mean_losses(method),
            measure(model, method, runner.val_loop.dataloader),
        )
        look(runner)

    run_on_rank(rank, [HOOK], refresh, model=MODEL)
    return seen


def resumed_counts_of_rank(rank: int, world_size: int):
    """Samples of this rank before a checkpoint, and after reading it."""
    counts = []

    def resume(runner):
        hook = next(h for h in runner.hooks if isinstance(h, GradBlendingHook))
        method = blender_of(runner.model)
        counts.append(method.measured()[-1].item())
        hook._is_in_epoch = True
        folder = [runner.work_dir]
        broadcast_object_list(folder)
        runner.save_checkpoint(*folder, 'within.pth', by_epoch=False)
        barrier()
        checkpoint = torch.load(f'{folder[0]}/within.pth')
        barrier()
        hook.after_load_checkpoint(runner, checkpoint)
        hook.before_train_epoch(runner)
        counts.append(method.measured()[-1].item())

    run_on_rank(rank, [HOOK], resume, model=MODEL)
    return counts


def test_of_several_ranks_the_first_stands_for_all(tmp_path):
    first, second = run_ranks(resumed_counts_of_rank, 2, tmp_path / 'ranks')
    assert first == [3, 6]
    assert second == [3, 0]


def test_ranks_share_the_losses(tmp_path):
    first, second = run_ranks(weights_of_rank, 2, tmp_path / 'ranks')
    assert torch.equal(first[0], second[0])
    assert first[0].min() > 0


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(mode='online'), "'tracked', 'copies'.*'online'"),
        (dict(super_epoch=0), 'super_epoch must be >= 1, got 0'),
        (dict(negative='x'), "'clip', 'abs'.*'x'"),
        (dict(momentum=1.0), r'momentum must be in \[0, 1\), got 1.0'),
        (dict(min_weight=-1), 'min_weight'),
    ],
)
def test_bad_arguments_are_explained(kwargs, match):
    with pytest.raises(ValueError, match=match):
        GradBlendingHook(**kwargs)


def test_bad_set_ups_are_explained(tmp_path):
    with pytest.raises(ValueError, match='GradBlendingMethod'):
        run(tmp_path / 'method', 1, [HOOK])
    config = without_validation(
        toy_config(tmp_path / 'val', 1, [HOOK], model=MODEL)
    )
    with pytest.raises(ValueError, match='needs validation data'):
        train(config)
    config = toy_config(tmp_path / 'loop', 1, [HOOK], model=MODEL)
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=1)
    with pytest.raises(ValueError, match='EpochBasedTrainLoop'):
        Runner.from_cfg(config).train()


def test_losses_that_are_not_finite_are_named(caplog):
    """The weights stay, and the log says why."""
    blender = GradBlendingMethod(dict.fromkeys(MODALITIES, 2), 3)
    before = blender.weights.clone()
    fine, bad = torch.ones(H), torch.ones(H)
    bad[1] = float('nan')
    runner = SimpleNamespace(
        logger=logging.getLogger('blending'),
        message_hub=MessageHub.get_current_instance(),
    )
    GradBlendingHook()._renew(runner, blender, (fine, fine), (fine, bad))
    assert torch.equal(blender.weights, before)
    assert f"validation losses of the heads ['{MODALITIES[0]}']" in caplog.text
    assert 'training losses' not in caplog.text
