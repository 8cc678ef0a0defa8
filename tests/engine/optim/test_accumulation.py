"""The window of micro-batches between two optimizer steps."""

from __future__ import annotations

import copy
import weakref

import pytest
import torch
from mmengine.logging import MMLogger
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmgmp.engine.optim import (
    GMPOptimWrapper,
    TaskGradientOptimWrapper,
    TaskProjection,
)
from mmgmp.structures import (
    Task,
    TaskLosses,
    attach_task_losses,
    get_task_losses,
)

from .toy import ToyModel, take, toy_data


def run(sizes, window, max_counts=-1, **kwargs):
    """One step per batch in ``sizes`` if the window is 1."""
    torch.manual_seed(0)
    model = ToyModel()
    wrapper = GMPOptimWrapper(
        torch.optim.Adam(model.parameters(), lr=1e-2),
        accumulative_counts=window,
        **kwargs,
    )
    if max_counts > 0:
        wrapper.initialize_count_status(model, 0, max_counts)
    first = 0
    for size in sizes:
        part = take(toy_data(64), torch.arange(first, first + size))
        wrapper.update_params(model.loss(part))
        first += size
    return model.state_dict()


def assert_same(first, second, **kwargs):
    for name in second:
        torch.testing.assert_close(first[name], second[name], **kwargs)


@pytest.mark.parametrize(
    ('micro', 'batches'),
    [
        pytest.param([4] * 10, [16, 16, 8], id='shorter-last-window'),
        pytest.param([8, 4, 2, 2, 1, 7, 0, 8], [16, 16], id='uneven'),
        pytest.param([0, 0, 16, 0, 4, 4, 4, 4], [16, 16], id='some-empty'),
        pytest.param([4, 4, 4, 4, 4, 1], [16, 5], id='short-and-uneven'),
    ],
)
def test_micro_batches_of_any_size_equal_one_batch(micro, batches):
    parts = run(micro, 4, max_counts=len(micro))
    whole = run(batches, 1)
    assert_same(parts, whole, rtol=1e-10, atol=1e-12)


def test_a_window_without_samples_changes_nothing():
    before = run([], 1)
    assert_same(run([0, 0, 0, 0], 4), before, rtol=0, atol=0)


def test_one_decision_per_step_and_two_buffers_until_then():
    calls = []

    class Counted(TaskProjection):
        def project(self, *args):
            calls.append(1)
            return super().project(*args)

    model = ToyModel()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1),
        projection=Counted(),
        accumulative_counts=3,
    )
    for step in range(6):
        wrapper.update_params(model.loss(toy_data(4, seed=step)))
        assert len(calls) == (step + 1) // 3
        buffers = wrapper._window.gradients
        is_open = (step + 1) % 3 != 0
        assert len(buffers) == (2 if is_open else 0)
        assert all(p.grad is None for p in model.encoders.parameters())


@pytest.mark.parametrize('stop', [1, 2, 3, 6])
def test_a_window_goes_on_after_a_resume(tmp_path, stop):
    def build():
        torch.manual_seed(0)
        model = ToyModel()
        return model, GMPOptimWrapper(
            torch.optim.Adam(model.parameters(), lr=1e-2),
            accumulative_counts=4,
        )

    def train(model, wrapper, steps):
        for step in steps:
            data = toy_data(4 + step % 3, seed=step)
            wrapper.update_params(model.loss(data))

    whole, wrapper = build()
    train(whole, wrapper, range(8))

    model, wrapper = build()
    train(model, wrapper, range(stop))
    torch.save([model.state_dict(), wrapper.state_dict()], tmp_path / 'x.pth')
    model, wrapper = build()
    weights, state = torch.load(tmp_path / 'x.pth', weights_only=True)
    model.load_state_dict(weights)
    wrapper.load_state_dict(state)
    wrapper.initialize_count_status(model, stop, 8)
    train(model, wrapper, range(stop, 8))
    assert_same(model.state_dict(), whole.state_dict(), rtol=0, atol=0)


@pytest.fixture
def messages(caplog, monkeypatch):
    """What the package logs."""
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handlers', [caplog.handler])
    return caplog


def test_a_window_that_does_not_fit_is_left_out(messages):
    model = ToyModel()
    wrapper = GMPOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=4
    )
    wrapper.update_params(model.loss(toy_data(4)))
    model.zero_grad()
    twin = copy.deepcopy(model)
    other = GMPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    other.load_state_dict(wrapper.state_dict())
    other.update_params(model.loss(toy_data(4, seed=1)))
    fresh = GMPOptimWrapper(torch.optim.SGD(twin.parameters(), lr=0.1))
    fresh.update_params(twin.loss(toy_data(4, seed=1)))
    assert_same(model.state_dict(), twin.state_dict(), rtol=0, atol=0)
    assert 'does not fit accumulative_counts=1' in messages.text


def test_heads_may_be_thawed_and_encoders_frozen_between_batches():
    model = ToyModel()
    model.classifier.requires_grad_(False)
    wrapper = GMPOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=2
    )
    bias = model.encoders['video'][0].bias
    wrapper.update_params(model.loss(toy_data(4)))
    model.classifier.requires_grad_(True)
    bias.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    wrapper.update_params(model.loss(toy_data(4, seed=1)))
    after = model.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert 'classifier.weight' in changed
    assert 'encoders.video.0.weight' in changed
    assert 'encoders.video.0.bias' not in changed


def test_an_encoder_that_no_loss_reaches_is_told_of_once(messages):
    model = ToyModel()
    wrapper = GMPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    stray = [nn.Parameter(torch.ones(1, dtype=torch.float64))]
    for _ in range(2):
        loss = model.loss(toy_data(4))
        tasks = get_task_losses(loss)
        encoders = {**tasks.encoder_parameters, 'audio': stray}
        tasks = TaskLosses(tasks.losses, encoders, tasks.confidences)
        wrapper.update_params(attach_task_losses(loss, tasks))
    assert messages.text.count("No loss reaches the encoder 'audio'") == 1
    assert "encoder 'video'" not in messages.text


class LiveBytes(TorchDispatchMode):
    """Bytes of storages born in this context and still alive, at most."""

    def __init__(self):
        super().__init__()
        self.alive = {}
        self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        given = {
            x.untyped_storage()._cdata
            for x in tree_leaves((args, kwargs))
            if isinstance(x, torch.Tensor)
        }
        for tensor in tree_leaves(result):
            if not isinstance(tensor, torch.Tensor):
                continue
            storage = tensor.untyped_storage()
            if storage._cdata in given or storage._cdata in self.alive:
                continue
            key = storage._cdata
            self.alive[key] = storage.nbytes()
            weakref.finalize(storage, self.alive.pop, key, None)
        self.peak = max(self.peak, sum(self.alive.values()))
        return result


class Wide(nn.Module):
    """Encoders whose weights dwarf their activations."""

    def __init__(self, width=256):
        super().__init__()
        self.encoders = nn.ModuleDict(
            {
                m: nn.Sequential(*[nn.Linear(width, width) for _ in range(4)])
                for m in ('video', 'audio')
            }
        )

    def loss(self, extra=False):
        x = torch.ones(2, 256)
        features = [e(x) for e in self.encoders.values()]
        fused = torch.cat(features, 1)
        losses = {
            Task.CLASSIFICATION: fused.sin().mean(),
            Task.DOMAIN: -fused.cos().mean(),
        }
        if extra:
            losses[Task.EXTRA] = fused.square().mean()
        return attach_task_losses(
            sum(losses.values()),
            TaskLosses(
                losses,
                {m: list(e.parameters()) for m, e in self.encoders.items()},
                num_samples=2,
            ),
        )

    @property
    def nbytes(self):
        return sum(p.numel() * p.element_size() for p in self.parameters())


@pytest.mark.parametrize(
    ('projection', 'window', 'copies'),
    [
        pytest.param(None, 1, 1, id='base'),
        pytest.param('cagp', 1, 2, id='gmp'),
        pytest.param('cagp', 2, 2, id='gmp-accumulating'),
    ],
)
def test_at_most_one_extra_copy_of_the_gradients_is_alive(
    projection, window, copies
):
    model = Wide()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1),
        projection=projection
        and dict(type='TaskProjection', rule='fixed_class'),
        accumulative_counts=window,
    )
    losses = [model.loss() for _ in range(window)]
    with LiveBytes() as live:
        for loss in losses:
            wrapper.update_params(loss)
    largest = max(p.numel() * p.element_size() for p in model.parameters())
    assert live.peak > copies * model.nbytes * 0.95
    # While a tensor is added to, its new gradient is alive for a moment.
    assert live.peak < copies * model.nbytes + 3 * largest
