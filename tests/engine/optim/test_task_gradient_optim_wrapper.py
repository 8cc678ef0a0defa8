from __future__ import annotations

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmgmp.engine.optim import GMPOptimWrapper, TaskGradientOptimWrapper
from mmgmp.structures import Task, TaskLosses, attach_task_losses

from .toy import (
    CONFIDENCES,
    K,
    ToyModel,
    linear_tasks,
    take,
    toy_data,
    two_encoders,
)

DECOUPLED = dict(type='DecoupledModulation')
UNIFIED = dict(type='UnifiedModulation')


def projection(rule, **kwargs):
    return dict(type='TaskProjection', rule=rule, **kwargs)


def step(encoders, modulation, rule, **kwargs):
    """One SGD step with learning rate 1: minus the update is G."""
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(encoders.values(), lr=1.0),
        modulation,
        projection(rule) if rule else None,
    )
    wrapper.update_params(linear_tasks(encoders, **kwargs))
    return {m: (-p.detach()).tolist() for m, p in encoders.items()}


@pytest.mark.parametrize(
    ('modulation', 'rule', 'video', 'audio'),
    [
        pytest.param(None, None, (0, 1), (0, 1), id='base'),
        pytest.param(
            DECOUPLED, 'cagp', (-0.880797, 1.119203), (1, K), id='gmp'
        ),
        pytest.param(
            DECOUPLED, None, (-0.761594, 1), (0.761594, K), id='igdm-only'
        ),
        pytest.param(None, 'cagp', (-0.5, 1.5), (1, 1), id='cagp-only'),
        pytest.param(UNIFIED, None, (0, K), (0, 1), id='unified'),
        pytest.param(
            dict(UNIFIED, source='product'),
            None,
            (0, K),
            (0, K),
            id='unified-product',
        ),
        pytest.param(
            None, 'fixed_class', (-0.5, 1.5), (-0.5, 1.5), id='fixed-class'
        ),
        pytest.param(None, 'fixed_domain', (1, 1), (1, 1), id='fixed-domain'),
        pytest.param(None, 'pcgrad', (0.5, 1.5), (0.5, 1.5), id='pcgrad'),
        pytest.param(None, 'reverse', (1, 1), (-0.5, 1.5), id='reverse'),
    ],
)
def test_worked_example(modulation, rule, video, audio):
    update = step(two_encoders(), modulation, rule)
    assert update['video'] == pytest.approx(video, abs=1e-6)
    assert update['audio'] == pytest.approx(audio, abs=1e-6)


def test_swapping_the_modalities_swaps_the_results():
    values = {
        task: {'video': by['audio'], 'audio': by['video']}
        for task, by in CONFIDENCES.items()
    }
    update = step(two_encoders(), DECOUPLED, 'cagp')
    swapped = step(two_encoders(), DECOUPLED, 'cagp', values=values)
    assert swapped['audio'] == pytest.approx(update['video'])
    assert swapped['video'] == pytest.approx(update['audio'])


@pytest.mark.parametrize('rule', [None, 'cagp', 'pcgrad', 'fixed_domain'])
@pytest.mark.parametrize('factor', [-1.0, 3.0, 65536.0])
def test_scaling_both_gradients_scales_the_update(rule, factor):
    update = step(two_encoders(), DECOUPLED, rule)
    scaled = step(
        two_encoders(),
        DECOUPLED,
        rule,
        class_gradient=(factor, 0.0),
        domain_gradient=(-factor, factor),
    )
    for modality in update:
        expected = [factor * x for x in update[modality]]
        assert scaled[modality] == pytest.approx(expected)


@pytest.mark.parametrize(
    ('g_c', 'g_d', 'expected'),
    [
        pytest.param((0, 0), (-1, 1), (-1, 1), id='no-class-gradient'),
        pytest.param((1, 0), (0, 0), (1, 0), id='no-domain-gradient'),
        pytest.param((1, 0), (0, 2), (1, 2), id='orthogonal'),
        pytest.param((1, 0), (1, 1), (2, 1), id='aligned'),
        pytest.param((1, 0), (-2, 0), (-2, 0), id='anti-parallel'),
        pytest.param(
            (1, 0), (-1e-23, 0), (1, 0), id='underflow-is-left-alone'
        ),
        pytest.param((1e15, 0), (-1e15, 1e15), (-5e14, 1.5e15), id='huge'),
    ],
)
def test_hard_gradients(g_c, g_d, expected):
    encoders = two_encoders(torch.float32)
    update = step(
        encoders, None, 'fixed_class', class_gradient=g_c, domain_gradient=g_d
    )
    assert update['video'] == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_non_finite_gradients_are_never_masked():
    update = step(
        two_encoders(), DECOUPLED, 'cagp', class_gradient=(float('nan'), 0.0)
    )
    assert any(x != x for x in update['video'])
    update = step(
        two_encoders(), DECOUPLED, 'cagp', domain_gradient=(float('inf'), -1.0)
    )
    assert not all(torch.isfinite(torch.tensor(update['video'])))


def train(wrapper_type, steps=10, n=16, micro=1, **kwargs):
    torch.manual_seed(0)
    model = ToyModel()
    wrapper = wrapper_type(
        torch.optim.Adam(model.parameters(), lr=1e-2),
        accumulative_counts=micro,
        **kwargs,
    )
    for i in range(steps):
        data = toy_data(n, seed=i)
        for part in torch.arange(n).chunk(micro):
            wrapper.update_params(model.loss(take(data, part)))
    return model.state_dict()


def assert_same(first, second, rtol=1e-10, atol=1e-12):
    for name in first:
        torch.testing.assert_close(
            first[name], second[name], rtol=rtol, atol=atol
        )


@pytest.mark.parametrize('micro', [1, 4])
def test_switched_off_is_the_stock_wrapper_bit_for_bit(micro):
    stock = train(OptimWrapper, micro=micro)
    ours = train(TaskGradientOptimWrapper, micro=micro)
    assert_same(ours, stock, rtol=0, atol=0)


@pytest.mark.parametrize(
    'kwargs',
    [
        pytest.param(dict(modulation=DECOUPLED), id='igdm'),
        pytest.param(dict(modulation=UNIFIED), id='unified'),
        pytest.param(dict(projection=projection('cagp')), id='cagp'),
        pytest.param(
            dict(modulation=DECOUPLED, projection=projection('cagp')), id='gmp'
        ),
        pytest.param(
            dict(projection=projection('pcgrad', scope='global')), id='global'
        ),
    ],
)
def test_micro_batches_equal_one_batch(kwargs):
    one = train(TaskGradientOptimWrapper, **kwargs)
    four = train(TaskGradientOptimWrapper, micro=4, **kwargs)
    assert_same(one, four)


def encoder_gradients(modulation, rule, extra=False, micro=1, **kwargs):
    """Literal reference: three autograd.grad calls and the formulas."""
    torch.manual_seed(1)
    model = ToyModel()
    loss = model.loss(toy_data(), extra=extra)
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=1.0),
        modulation,
        projection(rule) if rule else None,
        **kwargs,
    )
    before = copy.deepcopy(model.state_dict())
    tasks = loss._mmgmp_task_losses
    reference = literal_rule(model, tasks, modulation, rule)
    wrapper.update_params(loss)
    after = model.state_dict()
    return {k: before[k] - after[k] for k in before}, reference


def literal_rule(model, tasks, modulation, rule):
    gradients = {
        task: torch.autograd.grad(
            loss,
            list(model.parameters()),
            retain_graph=True,
            allow_unused=True,
        )
        for task, loss in tasks.losses.items()
    }
    names = [name for name, _ in model.named_parameters()]
    result = {}
    for name, *parts in zip(names, *gradients.values(), strict=True):
        result[name] = sum(p for p in parts if p is not None)
    order = list(model.encoders)
    s = [tasks.confidences[Task.CLASSIFICATION][m].sum() for m in order]
    t = [tasks.confidences[Task.DOMAIN][m].sum() for m in order]
    for i, m in enumerate(order):
        rho, sigma = s[i] / s[1 - i], t[1 - i] / t[i]
        k = 1 - torch.tanh(0.5 * rho) if modulation and rho > 1 else 1.0
        p = 1 - torch.tanh(0.5 * sigma) if modulation and sigma > 1 else 1.0
        mine = [j for j, n in enumerate(names) if f'encoders.{m}.' in n]

        def flat(task, mine=mine):
            return torch.cat([gradients[task][j].flatten() for j in mine])

        g_c, g_d = k * flat(Task.CLASSIFICATION), p * flat(Task.DOMAIN)
        dot = g_c @ g_d
        if rule == 'cagp' and dot < 0:
            if rho >= sigma:
                g_c = g_c - dot / (g_d @ g_d) * g_d
            else:
                g_d = g_d - dot / (g_c @ g_c) * g_c
        total = g_c + g_d
        if Task.EXTRA in gradients:
            total = total + flat(Task.EXTRA)
        parts = total.split(
            [gradients[Task.CLASSIFICATION][j].numel() for j in mine]
        )
        for j, part in zip(mine, parts, strict=True):
            result[names[j]] = part.view_as(result[names[j]])
    return result


@pytest.mark.parametrize('extra', [False, True])
@pytest.mark.parametrize('modulation', [None, DECOUPLED])
@pytest.mark.parametrize('rule', [None, 'cagp'])
def test_equals_the_literal_formulas(modulation, rule, extra):
    ours, reference = encoder_gradients(modulation, rule, extra)
    for name, expected in reference.items():
        torch.testing.assert_close(ours[name], expected)


@pytest.mark.parametrize('modulation', [None, DECOUPLED, UNIFIED])
def test_feature_level_is_exact_without_projection(modulation):
    exact = train(TaskGradientOptimWrapper, modulation=modulation)
    feature = train(
        TaskGradientOptimWrapper, modulation=modulation, level='feature'
    )
    assert_same(exact, feature)


def test_feature_level_with_projection_takes_one_pass():
    model = ToyModel()
    passes = []
    model.encoders['video'][0].weight.register_hook(lambda g: passes.append(1))
    for level, expected in (('feature', 1), ('parameter', 2)):
        passes.clear()
        wrapper = GMPOptimWrapper(
            torch.optim.SGD(model.parameters(), lr=0.1), level=level
        )
        wrapper.update_params(model.loss(toy_data()))
        assert len(passes) == expected


@pytest.mark.parametrize(
    ('kwargs', 'expected'),
    [
        pytest.param({}, 1, id='base'),
        pytest.param(dict(modulation=UNIFIED), 1, id='unified'),
        pytest.param(dict(modulation=DECOUPLED), 1, id='igdm'),
        pytest.param(dict(projection=projection('cagp')), 2, id='cagp'),
    ],
)
def test_number_of_passes_follows_from_the_strategy(kwargs, expected):
    model = ToyModel()
    passes = []
    for encoder in model.encoders.values():
        encoder[0].weight.register_hook(lambda g: passes.append(1))
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), **kwargs
    )
    wrapper.update_params(model.loss(toy_data()))
    assert len(passes) == 2 * expected


def test_no_value_reaches_the_host_inside_a_step():
    model = ToyModel()
    wrapper = GMPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    loss = model.loss(toy_data())
    seen = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if 'local_scalar_dense' in str(func):
                seen.append(func)
            return func(*args, **(kwargs or {}))

    with Watch():
        wrapper.update_params(loss)
    assert not seen


def test_three_modalities_and_a_single_one():
    for modalities in (('video',), ('video', 'audio', 'flow')):
        model = ToyModel(modalities)
        wrapper = GMPOptimWrapper(torch.optim.Adam(model.parameters(), lr=0.1))
        for seed in range(3):
            wrapper.update_params(
                model.loss(toy_data(modalities=modalities, seed=seed))
            )
        values = wrapper.read_diagnostics()
        assert all(v == v for v in values.values())
        assert f'semantic_ratio_{modalities[-1]}' in values
        if len(modalities) == 1:
            assert values['semantic_ratio_video'] == 1
            assert values['domain_coefficient_video'] == 1


def test_adversarial_signs():
    """The encoder climbs the domain loss, the discriminator descends it."""
    for part, grows in (('encoders', True), ('discriminator', False)):
        torch.manual_seed(0)
        model = ToyModel()
        loss = model.loss(toy_data(), class_weight=0.0)
        before = loss._mmgmp_task_losses.losses[Task.DOMAIN].item()
        frozen = copy.deepcopy(model.state_dict())
        wrapper = GMPOptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-2))
        wrapper.update_params(loss)
        state = {
            k: v if k.startswith(part) else frozen[k]
            for k, v in model.state_dict().items()
        }
        model.load_state_dict(state)
        after = model.loss(toy_data())._mmgmp_task_losses.losses[Task.DOMAIN]
        assert (after.item() > before) is grows


def test_lambda_zero_leaves_the_modulated_class_gradient():
    torch.manual_seed(0)
    model = ToyModel(domain_weight=0.0)
    loss = model.loss(toy_data())
    tasks = loss._mmgmp_task_losses
    expected = literal_rule(model, tasks, DECOUPLED, 'cagp')
    wrapper = GMPOptimWrapper(torch.optim.SGD(model.parameters(), lr=1.0))
    before = copy.deepcopy(model.state_dict())
    wrapper.update_params(loss)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(before[name] - value, expected[name])
    assert wrapper.read_diagnostics()['conflict_video'] == 0


def test_missing_gradients():
    """One task may reach a parameter that the other does not."""
    both, class_only, unreached, frozen = (
        nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in range(4)
    )
    frozen.requires_grad = False
    other = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    encoder = [both, class_only, unreached, frozen]
    losses = {
        Task.CLASSIFICATION: (both + class_only + other).sum(),
        Task.DOMAIN: (-both).sum(),
    }
    loss = attach_task_losses(
        sum(losses.values()),
        TaskLosses(losses, {'video': encoder}),
    )
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD([*encoder, other], lr=1.0),
        projection=projection('fixed_domain'),
    )
    kept = []
    wrapper.optimizer.register_step_pre_hook(
        lambda o, a, k: kept.extend(p.grad for p in encoder)
    )
    wrapper.update_params(loss)
    # g_c = (1, 1), g_d = (-1, 0): g_d + 1/2 g_c = (-1/2, 1/2)
    assert both.item() == -0.5
    assert class_only.item() == -1.5
    assert other.item() == -1
    assert kept[2] is None
    assert kept[3] is None


def test_a_single_source_domain_projects_nothing_and_keeps_k():
    encoders = two_encoders()
    loss = linear_tasks(encoders)
    tasks = loss._mmgmp_task_losses
    losses = {Task.CLASSIFICATION: tasks.losses[Task.CLASSIFICATION]}
    confidences = {Task.CLASSIFICATION: tasks.confidences[Task.CLASSIFICATION]}
    loss = attach_task_losses(
        losses[Task.CLASSIFICATION],
        TaskLosses(losses, tasks.encoder_parameters, confidences),
    )
    wrapper = GMPOptimWrapper(torch.optim.SGD(encoders.values(), lr=1.0))
    wrapper.update_params(loss)
    assert encoders['video'].tolist() == pytest.approx([-K, 0])
    assert encoders['audio'].tolist() == pytest.approx([-1, 0])


def test_own_domain_losses_without_discriminator_compare_rho_with_one():
    encoders = two_encoders()
    tasks = linear_tasks(encoders)._mmgmp_task_losses
    loss = attach_task_losses(
        sum(tasks.losses.values()),
        TaskLosses(
            tasks.losses,
            tasks.encoder_parameters,
            {Task.CLASSIFICATION: tasks.confidences[Task.CLASSIFICATION]},
        ),
    )
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(encoders.values(), lr=1.0),
        projection=projection('cagp'),
    )
    wrapper.update_params(loss)
    assert encoders['video'].tolist() == pytest.approx([0.5, -1.5])
    assert encoders['audio'].tolist() == pytest.approx([-1, -1])


def test_outside_its_window_a_strategy_is_the_identity():
    update = step(two_encoders(), dict(DECOUPLED, start_epoch=5), None)
    assert update['video'] == pytest.approx((0, 1))


def test_diagnostics_are_those_of_the_last_step_and_read_once():
    encoders = two_encoders()
    wrapper = GMPOptimWrapper(
        torch.optim.SGD(encoders.values(), lr=1.0),
        clip_grad=dict(max_norm=100.0),
    )
    wrapper.update_params(linear_tasks(encoders))
    values = wrapper.read_diagnostics()
    expected = {
        'semantic_ratio_video': 2,
        'semantic_ratio_audio': 0.5,
        'domain_ratio_video': 0.5,
        'domain_ratio_audio': 2,
        'semantic_coefficient_video': K,
        'semantic_coefficient_audio': 1,
        'domain_coefficient_video': 1,
        'domain_coefficient_audio': K,
        'conflict_video': 1,
        'conflict_audio': 1,
        'classification_grad_norm_video': 1,
        'domain_grad_norm_audio': 2**0.5,
        'cosine_video': -(2**-0.5),
    }
    for name, value in expected.items():
        assert values[name] == pytest.approx(value), name
    assert values['grad_norm'] > 0
    assert wrapper.read_diagnostics() == {}


def test_state_survives_and_a_stock_state_is_accepted():
    model = ToyModel()
    wrapper = GMPOptimWrapper(torch.optim.Adam(model.parameters()))
    wrapper.update_params(model.loss(toy_data()))
    state = copy.deepcopy(wrapper.state_dict())
    twin = GMPOptimWrapper(torch.optim.Adam(model.parameters()))
    twin.load_state_dict(state)
    assert twin.state_dict()['task_gradient'] == state['task_gradient']
    stock = OptimWrapper(torch.optim.Adam(model.parameters()))
    twin.load_state_dict(stock.state_dict())


# -- errors ---------------------------------------------------------------


def test_a_loss_without_tasks_is_explained():
    p = nn.Parameter(torch.ones(1))
    wrapper = GMPOptimWrapper(torch.optim.SGD([p], lr=0.1))
    with pytest.raises(RuntimeError, match='AudioVisualRecognizer'):
        wrapper.update_params(p.sum())


def test_a_shared_encoder_is_refused():
    p = nn.Parameter(torch.ones(1))
    loss = attach_task_losses(
        p.sum(),
        TaskLosses(
            {Task.CLASSIFICATION: p.sum()}, {'video': [p], 'audio': [p]}
        ),
    )
    wrapper = TaskGradientOptimWrapper(torch.optim.SGD([p], lr=0.1))
    with pytest.raises(ValueError, match="'video' and 'audio'.*backbone"):
        wrapper.update_params(loss)


def test_an_encoder_without_trainable_parameters_is_refused():
    p = nn.Parameter(torch.ones(1))
    frozen = nn.Parameter(torch.ones(1), requires_grad=False)
    loss = attach_task_losses(
        p.sum(),
        TaskLosses(
            {Task.CLASSIFICATION: p.sum()}, {'video': [p], 'audio': [frozen]}
        ),
    )
    wrapper = TaskGradientOptimWrapper(torch.optim.SGD([p, frozen], lr=0.1))
    with pytest.raises(ValueError, match='audio.*frozen_stages'):
        wrapper.update_params(loss)


def test_missing_confidences_are_explained():
    p = nn.Parameter(torch.ones(1))
    loss = attach_task_losses(
        p.sum(), TaskLosses({Task.CLASSIFICATION: p.sum()}, {'video': [p]})
    )
    wrapper = GMPOptimWrapper(torch.optim.SGD([p], lr=0.1))
    with pytest.raises(ValueError, match='model.contribution'):
        wrapper.update_params(loss)


@pytest.mark.parametrize(
    ('kwargs', 'error', 'match'),
    [
        (dict(level='layer'), ValueError, 'optim_wrapper.level'),
        (
            dict(level='feature', accumulative_counts=2),
            ValueError,
            'accumulative_counts=2',
        ),
        (dict(modulation=3), TypeError, 'optim_wrapper.modulation'),
        (dict(projection=projection('cagb')), ValueError, "'cagp'.*'cagb'"),
        (
            dict(projection=projection('cagp', scope='layer')),
            ValueError,
            'scope',
        ),
        (
            dict(modulation=dict(DECOUPLED, alpha_k=-0.5)),
            ValueError,
            'alpha_k must be >= 0, got -0.5',
        ),
        (dict(modulation=dict(UNIFIED, source='x')), ValueError, 'semantic'),
        (
            dict(modulation=dict(DECOUPLED, start_epoch=3, end_epoch=1)),
            ValueError,
            'end_epoch',
        ),
    ],
)
def test_bad_configs_are_explained(kwargs, error, match):
    p = nn.Parameter(torch.ones(1))
    with pytest.raises(error, match=match):
        TaskGradientOptimWrapper(torch.optim.SGD([p], lr=0.1), **kwargs)


def test_sharded_models_are_refused():
    class FullyShardedDataParallel(nn.Module):
        pass

    p = nn.Parameter(torch.ones(1))
    wrapper = TaskGradientOptimWrapper(torch.optim.SGD([p], lr=0.1))
    context = wrapper.optim_context(FullyShardedDataParallel())
    with pytest.raises(NotImplementedError, match='MMDistributed'):
        context.__enter__()


def test_the_config_of_the_caller_is_not_changed():
    p = nn.Parameter(torch.ones(1))
    clip, rule = dict(type='norm', max_norm=1.0), projection('cagp')
    TaskGradientOptimWrapper(
        torch.optim.SGD([p], lr=0.1), projection=rule, clip_grad=clip
    )
    assert clip == dict(type='norm', max_norm=1.0)
    assert rule == projection('cagp')
