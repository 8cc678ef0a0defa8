from __future__ import annotations

import copy

import pytest
import torch

from mmgmp.models.methods.unimodal_teachers import UnimodalTeachers
from mmgmp.models.recognizers.method_terms import run_shared_stages
from mmgmp.registry import MODELS
from mmgmp.structures import FrozenState, Task
from mmgmp.testing.toy_configs import toy_recognizer
from mmgmp.utils.settings import KEY, TrainedOn

from .toy_methods import hand_batch, small_batch_for, small_encoders

TWO = ('video', 'flow')
THREE = ('video', 'audio', 'flow')
SOURCES = ['a', 'b']


def model_of(tmp_path, modalities=TWO, frozen=3, **kwargs):
    """A model, and itself as its teacher unless a checkpoint is given."""
    encoders = small_encoders(modalities)
    for encoder in encoders.values():
        encoder['frozen_stages'] = frozen
    method = dict(type='UnimodalTeachers', sources=SOURCES, **kwargs)
    config = toy_recognizer(modalities, encoders=encoders, methods=[method])
    if 'checkpoints' not in kwargs:
        path = save(MODELS.build(copy.deepcopy(config)), tmp_path / 'own.pth')
        method['checkpoints'] = dict.fromkeys(modalities, path)
    torch.manual_seed(0)
    return MODELS.build(config)


def save(model, path, seen=SOURCES):
    state = model.state_dict()
    meta = {KEY: TrainedOn(tuple(seen), (), seen=tuple(seen)).as_meta()}
    torch.save({'state_dict': state, 'meta': meta}, path)
    return str(path)


def as_teacher(model):
    """Give the student the weights of its teachers."""
    for teacher, encoder in zip(
        model.methods[0]._twins, model.encoders.values(), strict=True
    ):
        encoder.load_state_dict(teacher.state_dict())


def distance_of(model, inputs, samples):
    return model(inputs, samples, mode='loss')['loss_extra_distance']


def test_the_distance_by_hand():
    method = UnimodalTeachers({'video': 2, 'audio': 1}, 2)
    features = {'video': torch.tensor([[1.0, 2.0]]), 'audio': torch.ones(1, 1)}
    batch = hand_batch(
        features, [0], teacher={'video': torch.zeros(1, 2),
                                'audio': torch.ones(1, 1)},
    )  # fmt: skip
    assert method.losses(batch) == {Task.EXTRA: {'distance': 25.0}}
    other = UnimodalTeachers({'video': 2}, 2, tasks={'distance': 'cls'})
    assert list(other.losses(batch)) == [Task.CLASSIFICATION]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_compared_in_full(dtype):
    x = torch.full((2, 3), 300.0, dtype=dtype)
    assert UnimodalTeachers.distance(x, -x).item() == 360000.0


@pytest.mark.parametrize(
    ('modalities', 'autocast'),
    [(('flow',), False), (TWO, True), (THREE, False)],
)
def test_a_student_that_is_its_teacher_has_no_distance(
    modalities, autocast, tmp_path
):
    model = model_of(tmp_path, modalities)
    model.init_weights()
    as_teacher(model)
    model.eval()
    batch = small_batch_for('umt', modalities)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        loss = distance_of(model, *batch)
    assert loss.item() == 0
    loss.backward()
    assert all(
        not p.grad.any()
        for p in model.encoders.parameters()
        if p.grad is not None
    )
    # Batch statistics in training are another function.
    assert distance_of(model.train(), *batch) > 0


def test_teachers_do_not_change_and_are_no_part_of_the_state(tmp_path):
    model = model_of(tmp_path)
    names = set(model.state_dict())
    model.init_weights()
    assert set(model.state_dict()) == names
    teachers = model.methods[0]._twins
    owned = {id(p) for p in model.parameters()}
    assert not owned & {id(p) for t in teachers for p in t.parameters()}
    before = [copy.deepcopy(t.state_dict()) for t in teachers]
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    batch = small_batch_for('umt', TWO)
    for _ in range(2):
        model.train()
        optimizer.zero_grad()
        model.parse_losses(model(*batch, mode='loss'))[0].backward()
        optimizer.step()
    assert not any(t.training for t in teachers)
    for teacher, state in zip(teachers, before, strict=True):
        for name, value in teacher.state_dict().items():
            assert torch.equal(value, state[name]), name
    model.double()
    assert {p.dtype for t in teachers for p in t.parameters()} == {
        torch.float64
    }


def test_reading_them_draws_no_random_number(tmp_path):
    states = []
    for weights in ('with', 'without'):
        model = model_of(tmp_path)
        if weights == 'without':
            del model.methods[0]
        torch.manual_seed(3)
        model.init_weights()
        states.append(model.encoders.state_dict() | {'next': torch.rand(1)})
    assert all(torch.equal(v, states[1][k]) for k, v in states[0].items())


def test_the_same_frozen_stages_run_once(tmp_path, monkeypatch):
    from mmgmp.models.encoders import ModalityEncoder

    runs = []
    frozen = ModalityEncoder.forward_frozen

    def counted(self, inputs):
        runs.append(not isinstance(inputs, FrozenState))
        return frozen(self, inputs)

    monkeypatch.setattr(ModalityEncoder, 'forward_frozen', counted)
    found = []
    for is_shared in (True, False):
        torch.manual_seed(0)
        model = model_of(tmp_path)
        model.init_weights()
        as_teacher(model)
        if not is_shared:
            model.methods[0]._shared = frozenset()
        runs.clear()
        model.train()
        torch.manual_seed(0)
        loss = distance_of(model, *small_batch_for('umt', TWO))
        assert sum(runs) == (2 if is_shared else 4)
        loss.backward()
        found.append((loss, [p.grad for p in model.parameters()]))
    (one, first), (two, second) = found
    assert torch.equal(one, two)
    for a, b in zip(first, second, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


@pytest.mark.parametrize('case', ['other weights', 'nothing frozen', 'drift'])
def test_stages_that_are_not_the_same_are_not_shared(case, tmp_path):
    model = model_of(tmp_path, frozen=-1 if case == 'nothing frozen' else 3)
    model.init_weights()
    if case != 'other weights':
        as_teacher(model)
    if case == 'drift':
        for encoder in model.encoders.values():
            encoder.frozen_norm_eval = False
    inputs, samples = small_batch_for('umt', TWO)
    shared = run_shared_stages(model.encoders, model.methods, inputs)
    assert all(shared[m] is inputs[m] for m in TWO)
    assert torch.isfinite(distance_of(model, inputs, samples))
    if case == 'other weights':
        for m in TWO:
            maps, clips = model.encoders[m].forward_frozen(inputs[m])
            inputs[m] = FrozenState((maps,), clips)
        with pytest.raises(ValueError, match='twin of video in UnimodalT'):
            distance_of(model, inputs, samples)


def test_a_sample_without_the_modality_adds_nothing(tmp_path):
    model = model_of(tmp_path, ('flow',))
    model.init_weights()
    model.eval()  # rows do not depend on each other
    inputs, samples = small_batch_for('umt', ('flow',))
    whole = model.methods[0]
    present = torch.tensor([True, False] * 3)
    partial = {'flow': inputs['flow'][present], 'present/flow': present}
    loss = distance_of(model, partial, samples)
    features = model.encode(inputs)['flow']
    told = whole.ask(inputs)['flow']
    expected = (features - told).square()[present].sum() / features.numel()
    torch.testing.assert_close(loss, 10 * expected)
    nobody = {
        'flow': inputs['flow'][:0],
        'present/flow': torch.zeros(6, dtype=torch.bool),
    }
    assert distance_of(model, nobody, samples).item() == 0


def test_a_resumed_training_has_the_same_curve(tmp_path):
    batch = small_batch_for('umt', TWO)
    path = save(model_of(tmp_path), tmp_path / 'teacher.pth')
    given = dict(checkpoints=dict.fromkeys(TWO, path))

    def start():
        model = model_of(tmp_path, **given)
        model.init_weights()
        return model, torch.optim.Adam(model.parameters(), 0.01)

    def steps(model, optimizer, count):
        for number in range(count):
            torch.manual_seed(number)
            optimizer.zero_grad()
            loss, _ = model.parse_losses(model(*batch, mode='loss'))
            loss.backward()
            optimizer.step()
            yield loss.item()

    torch.manual_seed(0)
    model, optimizer = start()
    list(steps(model, optimizer, 2))
    stored = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    curve = list(steps(model, optimizer, 2))
    again, optimizer = start()
    again.load_state_dict(stored[0])
    optimizer.load_state_dict(stored[1])
    assert list(steps(again, optimizer, 2)) == curve


def test_it_must_be_told_where_its_teachers_are(tmp_path):
    model = model_of(tmp_path, checkpoints={'video': 'a.pth'})
    with pytest.raises(RuntimeError, match=r'call init_weights\(\)'):
        distance_of(model, *small_batch_for('umt', TWO))
    path = save(model_of(tmp_path), tmp_path / 'teacher.pth')
    model.methods[0].checkpoints['video'] = path
    with pytest.raises(ValueError, match=r"each modality of \['video', 'flo"):
        model.init_weights()
    with pytest.raises(ValueError, match='weight of UnimodalTeachers must be'):
        model_of(tmp_path, weight=0.0)


@pytest.mark.parametrize(
    ('change', 'options', 'error', 'message'),
    [
        ('gone', {}, FileNotFoundError, 'must be a checkpoint, got no file'),
        ('renamed', {}, ValueError, r'checkpoints.video .* encoders.video.\*'),
        ('wide', {}, ValueError, 'checkpoints.video .* of another shape'),
        ('target', {}, ValueError, r"domains of this run, \['a', 'b'\], got"),
        ('silent', {}, ValueError, 'got .* of domains that it does not name'),
        ('fine', {'sources': None}, ValueError, 'sources of UnimodalTeach'),
        ('target', {'allow_other_domains': True}, None, ''),
        ('silent', {'allow_other_domains': True}, None, ''),
    ],
)
def test_teachers_that_are_refused(change, options, error, message, tmp_path):
    path = tmp_path / 'teacher.pth'
    save(model_of(tmp_path), path, ['b', 't'] if change == 'target' else 'ab')
    content = torch.load(path, weights_only=True)
    state = content['state_dict']
    if change == 'renamed':
        content['state_dict'] = {f'net.{k}': v for k, v in state.items()}
    if change == 'wide':
        name = 'encoders.video.backbone.conv1.conv.weight'
        state[name] = torch.cat([state[name]] * 2)
    if change == 'silent':
        content['meta'] = {}
    torch.save(content, path)
    if change == 'gone':
        path.unlink()
    model = model_of(tmp_path, checkpoints=dict.fromkeys(TWO, str(path)))
    for name, value in options.items():
        setattr(model.methods[0], name, value)
    if error is None:
        model.init_weights()
        return
    with pytest.raises(error, match=message):
        model.init_weights()
