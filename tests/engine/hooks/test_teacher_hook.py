"""The teacher through real runs of MMEngine's Runner on toy data."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.runner import Runner, load_checkpoint
from torch import nn

from mmgmp.engine.hooks import TeacherHook
from mmgmp.registry import MODELS
from mmgmp.structures import TeachableModel
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

SMALL = ('video', 'flow')
HEADS = dict(
    type='MLPClassifierHead', num_classes=3, hidden_channels=0, dropout=0.0
)
SMA = dict(type='TeacherHook', ema_type='StochasticWeightAverage')
EMA = dict(
    type='TeacherHook', ema_type='ExponentialMovingAverage', momentum=0.001
)


class Scalar(nn.Module):
    """One weight, set from outside before each update."""

    def __init__(self, value=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(value))


class FakeRunner:
    """What the hook reads of a runner."""

    max_iters = max_epochs = 10
    iter = epoch = 0
    _resume = False

    def __init__(self, model, steps_every=1):
        self.model = model
        self.optim_wrapper = self
        self.steps_every = steps_every

    def should_update(self):
        return (self.iter + 1) % self.steps_every == 0


def averages(hook, start, values, **kwargs):
    """The teacher's weight after each of the given student weights."""
    runner = FakeRunner(Scalar(start), **kwargs)
    hook.before_run(runner)
    hook.before_train(runner)
    seen, ready = [], [hook.is_ready]
    for value in values:
        runner.model.weight.data.fill_(value)
        hook.after_train_iter(runner, runner.iter)
        runner.iter += 1
        seen.append(hook.ema_model.module.weight.item())
        ready.append(hook.is_ready)
    return seen, ready


def test_simple_moving_average_by_hand():
    hook = TeacherHook('StochasticWeightAverage', begin_iter=1)
    seen, ready = averages(hook, 7.0, [1.0, 3.0, 8.0])
    assert seen == pytest.approx([1, 2, 4])
    assert ready == [False, True, True, True]


def test_until_it_begins_the_teacher_is_a_copy():
    hook = TeacherHook('StochasticWeightAverage', begin_iter=3)
    seen, ready = averages(hook, 7.0, [1.0, 3.0, 8.0, 10.0])
    assert seen == pytest.approx([1, 3, 8, 9])
    assert ready == [False, False, False, True, True]


def test_exponential_average_starts_from_the_initial_weights():
    hook = TeacherHook(momentum=0.001)
    seen, ready = averages(hook, 1.0, [3.0, 5.0])
    assert seen == pytest.approx([1.002, 1.005998], abs=1e-6)
    assert ready == [True] * 3


def test_nothing_is_averaged_between_micro_batches():
    hook = TeacherHook(momentum=0.5)
    seen, _ = averages(hook, 0.0, [9.0, 1.0, 9.0, 2.0], steps_every=2)
    assert seen == pytest.approx([0, 0.5, 0.5, 1.25])


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(validate='both'), r"validate.*'student'.*got 'both'"),
        (dict(save='none'), "save of TeacherHook.*got 'none'"),
    ],
)
def test_bad_options(kwargs, match):
    with pytest.raises(ValueError, match=match):
        averages(TeacherHook(**kwargs), 1.0, [])


@pytest.mark.parametrize('key', ['begin_iter', 'begin_epoch'])
def test_an_average_that_never_begins_is_warned_of(key):
    runner = FakeRunner(Scalar())
    runner.logger = Messages()
    hook = TeacherHook(**{key: 11})
    hook.before_run(runner)
    hook.before_train(runner)
    (message,) = runner.logger
    assert f'{key}=11 is beyond the end of this training (10)' in message


class Messages(list):
    def warning(self, message):
        self.append(message)


def test_the_recognizer_is_teachable():
    model = MODELS.build(toy_recognizer(SMALL))
    assert isinstance(model, TeachableModel)
    assert not isinstance(Scalar(), TeachableModel)


# -- whole runs ------------------------------------------------------------


class ToyData(torch.utils.data.Dataset):
    def __init__(self):
        self.inputs, self.samples = toy_batch(8, modalities=SMALL)

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return dict(
            inputs={m: x[index] for m, x in self.inputs.items()},
            data_samples=copy.deepcopy(self.samples[index]),
        )


class Scores(BaseMetric):
    """Keeps the scores of the last evaluation."""

    last = None

    def process(self, data_batch, data_samples):
        self.results += [s['pred_score'] for s in data_samples]

    def compute_metrics(self, results):
        type(self).last = torch.stack(results)
        return {'accuracy': 0.0}


class Watch(Hook):
    """Keeps the student's weights around validation."""

    priority = 'VERY_HIGH'  # before the teacher moves in

    def __init__(self):
        self.before, self.after = [], []

    def before_val_epoch(self, runner):
        self.before.append(copy.deepcopy(runner.model.state_dict()))

    def before_train_epoch(self, runner):
        self.after.append(copy.deepcopy(runner.model.state_dict()))


class Reseed(Hook):
    """Random masks of an epoch are the same in a resumed run."""

    def before_train_epoch(self, runner):
        torch.manual_seed(runner.epoch)


def recognizer(name):
    keys = dict(
        cmrf=dict(
            methods=[
                dict(
                    type='CMRFMethod',
                    projector_channels=8,
                    embedding_channels=4,
                )
            ],
        ),
        mbcd=dict(
            methods=[dict(type='MBCDMethod')],
            feature_transforms=[dict(type='FeatureNorm')],
            forward_plan=dict(type='InnerStepPlan'),
        ),
    )[name]
    part = dict(type='ActionDataPreprocessor')
    return toy_recognizer(
        SMALL,
        unimodal_heads=HEADS,
        data_preprocessor=dict(
            type='AudioVisualDataPreprocessor',
            preprocessors=dict.fromkeys(SMALL, part),
        ),
        **keys,
    )


def make_runner(work_dir, name, hook, epochs=2, seed=0, **kwargs):
    torch.manual_seed(seed)
    loader = dict(
        batch_size=4,
        dataset=ToyData(),
        collate_fn=dict(type='pseudo_collate'),
    )
    shuffled = dict(type='DefaultSampler', shuffle=True)
    ordered = dict(type='DefaultSampler', shuffle=False)
    return Runner(
        model=recognizer(name),
        work_dir=str(work_dir),
        train_dataloader=dict(loader, sampler=shuffled),
        val_dataloader=dict(loader, sampler=ordered),
        test_dataloader=dict(loader, sampler=ordered),
        train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=1),
        val_cfg={},
        test_cfg={},
        val_evaluator=[Scores()],
        test_evaluator=[Scores()],
        optim_wrapper=dict(
            type='OptimWrapper',
            constructor='GMPOptimWrapperConstructor',
            optimizer=dict(type='SGD', lr=0.05, momentum=0.9),
        ),
        default_scope='mmaction',
        randomness=dict(seed=1),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1),
            logger=dict(type='LoggerHook', interval=100),
        ),
        custom_hooks=[hook, Reseed()],
        experiment_name=f'{name}-{work_dir.name}-{seed}-{kwargs}',
        log_level='WARNING',
        **kwargs,
    )


def teacher_of(runner):
    return next(h for h in runner.hooks if isinstance(h, TeacherHook))


def states(runner):
    return (
        runner.model.state_dict(),
        teacher_of(runner).ema_model.state_dict(),
    )


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


HOOKS_BY_METHOD = dict(cmrf=dict(SMA, begin_iter=1), mbcd=EMA)


@pytest.mark.parametrize('name', HOOKS_BY_METHOD)
def test_a_resumed_run_is_the_same_bit_for_bit(tmp_path, name):
    hook = HOOKS_BY_METHOD[name]
    straight = make_runner(tmp_path / 'straight', name, dict(hook))
    straight.train()
    first = make_runner(tmp_path / 'parts', name, dict(hook), epochs=1)
    first.train()
    second = make_runner(
        tmp_path / 'parts', name, dict(hook), seed=99, resume=True
    )
    second.train()
    for a, b in zip(states(straight), states(second), strict=True):
        assert_equal(a, b)
    student, teacher = states(straight)
    assert any(
        not torch.equal(value, teacher[f'module.{key}'])
        for key, value in student.items()
    )


def test_the_teacher_is_tested_with_or_without_the_hook(tmp_path):
    runner = make_runner(tmp_path, 'mbcd', dict(EMA), epochs=1)
    runner.train()
    validated = Scores.last
    checkpoint = str(tmp_path / 'epoch_1.pth')
    teacher = teacher_of(runner).ema_model.module.eval()
    data = runner.model.data_preprocessor(
        dict(
            inputs={m: list(x) for m, x in ToyData().inputs.items()},
            data_samples=ToyData().samples,
        )
    )
    with torch.no_grad():
        expected = teacher(data['inputs']).softmax(1)
    torch.testing.assert_close(validated, expected)
    for hook in (dict(EMA), dict(type='EmptyCacheHook')):
        again = make_runner(
            tmp_path / hook['type'], 'mbcd', hook, load_from=checkpoint
        )
        again.test()
        torch.testing.assert_close(Scores.last, expected)
    bare = MODELS.build(recognizer('mbcd'))
    load_checkpoint(bare, checkpoint)
    assert_equal(bare.state_dict(), teacher.state_dict())


@pytest.mark.parametrize('name', HOOKS_BY_METHOD)
def test_teaching_changes_nothing_of_the_teacher(name):
    model = MODELS.build(recognizer(name)).train()
    hook = TeacherHook()
    runner = FakeRunner(model)
    hook.before_run(runner)
    hook.before_train(runner)
    teacher = hook.ema_model.module
    before = copy.deepcopy(teacher.state_dict())
    inputs, samples = toy_batch(4, modalities=SMALL)
    total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
    total.backward()
    # Running statistics of batch norms among it.
    assert any('running_mean' in key for key in before)
    assert_equal(before, teacher.state_dict())
    for parameter in teacher.parameters():
        assert not parameter.requires_grad
        assert parameter.grad is None
    (told,) = hook.teach(inputs)
    assert told
    assert not any(x.requires_grad for x in told.values())


def test_validation_leaves_the_student_alone(tmp_path):
    watch = Watch()
    runner = make_runner(tmp_path, 'mbcd', dict(EMA, momentum=0.3))
    runner.register_hook(watch)
    runner.train()
    assert_equal(watch.before[0], watch.after[1])
    assert runner.model._teacher is None  # taken leave of
    assert not any('teacher' in key for key in runner.model.state_dict())


def test_the_student_can_be_what_is_saved(tmp_path):
    hook = dict(EMA, validate='student', save='student')
    runner = make_runner(tmp_path, 'mbcd', dict(hook), epochs=1)
    runner.train()
    saved = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    student, teacher = states(runner)
    assert_equal(saved['state_dict'], student)
    assert_equal(saved['ema_state_dict'], teacher)
    resumed = make_runner(
        tmp_path, 'mbcd', dict(hook), epochs=1, seed=5, resume=True
    )
    resumed.train()
    for a, b in zip(states(runner), states(resumed), strict=True):
        assert_equal(a, b)


def test_a_method_without_its_teacher_says_so(tmp_path):
    runner = make_runner(
        tmp_path, 'cmrf', dict(type='EmptyCacheHook'), epochs=1
    )
    with pytest.raises(RuntimeError, match='TeacherHook'):
        runner.train()
