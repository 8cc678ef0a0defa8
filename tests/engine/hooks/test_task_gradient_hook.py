import json
import logging
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from mmgmp.engine.hooks import TaskGradientHook
from mmgmp.engine.hooks.run_summary_hook import run_title
from mmgmp.registry import HOOKS
from mmgmp.visualization import plot_training_curves

ITERS_PER_EPOCH = 4


class ToyModel(BaseModel):
    """A line; ``chance`` adds the log values of a domain discriminator."""

    def __init__(self, chance=None):
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)
        self.chance = chance
        self.seen = 0

    def forward(self, inputs, mode='tensor'):
        if mode == 'predict':
            return [{}]
        losses = {'loss': self.linear(inputs).square().mean()}
        losses['accuracy'] = losses['loss'].detach()
        if self.chance is not None:
            self.seen += 1
            losses['domain_accuracy'] = torch.tensor(self.seen / 100)
            losses['domain_chance'] = torch.tensor(self.chance)
        return losses


class ToyWrapper(OptimWrapper):
    """Reports the number of its steps so far, as if it were a ratio."""

    def __init__(self, *args, bad_steps=(), **kwargs):
        super().__init__(*args, **kwargs)
        self.steps = 0
        self.unread = False
        self.bad_steps = bad_steps

    def step(self, **kwargs):
        super().step(**kwargs)
        self.steps += 1
        self.unread = True

    def read_diagnostics(self):
        if not self.unread:
            return {}
        self.unread = False
        norm = math.nan if self.steps in self.bad_steps else 1.0
        return {
            'semantic_ratio_video': float(self.steps),
            'domain_ratio_video': 1 / self.steps,
            'conflict_video': float(self.steps % 2),
            'classification_grad_norm_video': norm,
            'cosine_video': norm,
        }

    def state_dict(self):
        return {**super().state_dict(), 'steps': self.steps}

    def load_state_dict(self, state_dict):
        state_dict = dict(state_dict)
        self.steps = state_dict.pop('steps')
        super().load_state_dict(state_dict)


def train(
    work_dir,
    *,
    epochs=1,
    wrapper=ToyWrapper,
    chance=None,
    resume=False,
    hook=None,
    validated=(),
    **wrapper_args,
):
    model = ToyModel(chance)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    runner = Runner(
        model,
        str(work_dir),
        train_dataloader=dict(
            dataset=[{'inputs': torch.ones(1)}] * ITERS_PER_EPOCH,
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=1,
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        **(validation(validated) if validated else {}),
        optim_wrapper=wrapper(optimizer, **wrapper_args),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        custom_hooks=[hook or TaskGradientHook()],
        visualizer=dict(
            type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]
        ),
        resume=resume,
        log_level='DEBUG',
        experiment_name=f'{Path(work_dir).name}_{resume}',
    )
    runner.train()
    for handler in runner.logger.handlers:
        handler.flush()
    return runner


class ToyMetric(BaseMetric):
    """Gives one value after the other as the top-1."""

    def __init__(self, values):
        super().__init__(prefix='acc')
        self.values = list(values)

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        value = self.values.pop(0)
        return {'top1': value, 'top1_video': value / 2, 'human_top1': 0.0}


def validation(values):
    return dict(
        val_dataloader=dict(
            dataset=[{'inputs': torch.ones(1)}],
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=1,
            collate_fn=dict(type='default_collate'),
        ),
        val_cfg={},
        val_evaluator=Evaluator(ToyMetric(values)),
    )


def read_log(runner):
    (path,) = Path(runner.log_dir).glob('*.log')
    return path.read_text()


def read_table(work_dir):
    return np.genfromtxt(
        work_dir / 'task_gradients.csv', delimiter=',', names=True
    )


def test_values_are_in_the_log_line_of_their_own_iteration(tmp_path):
    runner = train(tmp_path)
    path = Path(runner.log_dir) / 'vis_data' / 'scalars.json'
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(r['iter'], r['semantic_ratio_video']) for r in rows] == [
        (1, 1), (2, 2), (3, 3), (4, 4)
    ]  # fmt: skip
    assert not any('iteration' in name for name in rows[0])
    assert 'domain_ratio_video: 0.2500' in read_log(runner)


def test_table_and_figure_are_written_and_named_in_the_log(tmp_path):
    hook = TaskGradientHook()
    hook.plotter = plot_training_curves
    runner = train(tmp_path, hook=hook)
    table = read_table(tmp_path)
    assert table['iteration'].tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(
        table['domain_ratio_video'], 1 / np.arange(1, 5)
    )
    figure = tmp_path / 'ratio_curves.png'
    assert figure.read_bytes().startswith(b'\x89PNG')
    assert str(figure) in read_log(runner)
    assert 'domain_accuracy' not in table.dtype.names


@pytest.mark.parametrize(
    ('interval', 'accumulate', 'iterations', 'steps'),
    [(2, 1, [2, 4, 6, 8], [2, 4, 6, 8]), (1, 3, [3, 6, 8], [1, 2, 3])],
    ids=['interval', 'accumulation'],
)
def test_only_steps_that_were_read_are_recorded(
    tmp_path, interval, accumulate, iterations, steps
):
    train(
        tmp_path,
        epochs=2,
        hook=TaskGradientHook(interval=interval),
        accumulative_counts=accumulate,
    )
    table = read_table(tmp_path)
    assert table['iteration'].tolist() == iterations
    assert table['semantic_ratio_video'].tolist() == steps


def test_a_resumed_run_continues_its_histories(tmp_path):
    train(tmp_path, epochs=1)
    train(tmp_path, epochs=2, resume=True)
    table = read_table(tmp_path)
    assert table['iteration'].tolist() == list(range(1, 9))
    assert table['semantic_ratio_video'].tolist() == list(range(1, 9))


def test_resuming_a_finished_run_overwrites_nothing(tmp_path):
    train(tmp_path, chance=0.5)
    before = (tmp_path / 'task_gradients.csv').read_text()
    (tmp_path / 'ratio_curves.png').write_text('kept')
    train(tmp_path, resume=True, chance=0.5)
    assert (tmp_path / 'task_gradients.csv').read_text() == before
    assert (tmp_path / 'ratio_curves.png').read_text() == 'kept'


@pytest.mark.parametrize('left', ['nothing', 'figure', 'table', 'old table'])
def test_a_run_killed_behind_its_last_checkpoint_gets_its_files(
    left, tmp_path
):
    files = table, figure = [
        tmp_path / name for name in ('task_gradients.csv', 'ratio_curves.png')
    ]
    train(tmp_path, epochs=1)
    old = table.read_text()
    train(tmp_path, epochs=2, resume=True)
    whole = table.read_text()
    for file in files:
        file.unlink()
    if left == 'figure':
        figure.write_text('of an earlier run')
    elif left != 'nothing':
        table.write_text(old if left == 'old table' else whole)
    train(tmp_path, epochs=2, resume=True)
    assert table.read_text() == whole
    assert figure.read_bytes().startswith(b'\x89PNG')
    assert not list(tmp_path.glob('.ratio*'))


def test_discriminator_accuracy_is_that_of_the_recorded_iterations(tmp_path):
    train(tmp_path, chance=0.5, hook=TaskGradientHook(interval=2))
    table = read_table(tmp_path)
    np.testing.assert_allclose(table['domain_accuracy'], [0.02, 0.04])
    np.testing.assert_allclose(table['domain_chance'], 0.5)


def test_losses_and_accuracies_of_the_recorded_steps_are_in_the_table(
    tmp_path,
):
    runner = train(tmp_path, epochs=2, hook=TaskGradientHook(interval=2))
    table = read_table(tmp_path)
    scalars = runner.message_hub.log_scalars['train/loss'].data[0]
    np.testing.assert_allclose(table['loss'], scalars[1::2], rtol=1e-6)
    np.testing.assert_allclose(table['accuracy'], table['loss'])
    assert 'lr' not in table.dtype.names


def test_a_validation_stands_at_the_last_recorded_step_before_it(tmp_path):
    hook = TaskGradientHook(interval=3)
    train(tmp_path, epochs=2, hook=hook, validated=(0.25, 0.75))
    table = read_table(tmp_path)
    assert table['iteration'].tolist() == [3, 6]
    np.testing.assert_allclose(table['validation_top1'], [0.25, 0.75])
    np.testing.assert_allclose(table['validation_top1_video'], [0.125, 0.375])
    assert not any('human' in name for name in table.dtype.names)


def test_a_resumed_run_knows_its_validations_but_the_one_it_was_killed_in(
    tmp_path,
):
    train(tmp_path, epochs=2, validated=(0.25, 0.5))
    train(tmp_path, epochs=3, resume=True, validated=(0.75,))
    column = read_table(tmp_path)['validation_top1']
    known = {int(i): v for i, v in enumerate(column, 1) if v == v}
    # The checkpoint of an epoch is written before its validation.
    assert known == {4: 0.25, 12: 0.75}


def test_the_figure_says_what_it_is_of(tmp_path):
    titles = []
    hook = TaskGradientHook()
    hook.plotter = lambda histories, path, title: (
        titles.append(title),
        path.write_text(''),
    )
    runner = train(tmp_path, hook=hook)
    assert titles == [f'{runner.experiment_name}: seed {runner.seed}']


def test_a_title_names_config_corpus_target_and_seed():
    dataset = SimpleNamespace(metainfo={'corpus': 'HAC'}, is_synthetic=True)
    runner = SimpleNamespace(
        train_dataloader=SimpleNamespace(dataset=dataset),
        cfg=Config({'protocol': {'target': 'human'}}, filename=__file__),
        seed=3,
    )
    name = Path(__file__).stem
    assert run_title(runner) == (
        f'{name}: HAC (SYNTHETIC), target human, seed 3'
    )
    dataset.is_synthetic = False
    runner.cfg.protocol.target = ['human', 'cartoon']
    assert run_title(runner).endswith(': HAC, target human, cartoon, seed 3')


def test_a_plain_wrapper_records_nothing_and_says_so_once(tmp_path):
    runner = train(tmp_path, wrapper=OptimWrapper)
    assert read_log(runner).count('has no read_diagnostics') == 1
    assert not (tmp_path / 'task_gradients.csv').exists()
    assert not (tmp_path / 'ratio_curves.png').exists()


def test_a_plain_wrapper_still_shows_the_discriminator(tmp_path):
    train(tmp_path, wrapper=OptimWrapper, chance=0.5)
    table = read_table(tmp_path)
    np.testing.assert_allclose(
        table['domain_accuracy'], [0.01, 0.02, 0.03, 0.04]
    )
    assert (tmp_path / 'ratio_curves.png').exists()


def test_plot_can_be_switched_off(tmp_path):
    train(tmp_path, hook=TaskGradientHook(plot=False))
    assert (tmp_path / 'task_gradients.csv').exists()
    assert not (tmp_path / 'ratio_curves.png').exists()


def test_non_finite_norms_are_loud_once_and_counted(tmp_path):
    runner = train(tmp_path, epochs=2, bad_steps=(2, 5, 6))
    warnings = [
        line for line in read_log(runner).splitlines() if 'WARNING' in line
    ]
    alarms = [line for line in warnings if 'at iteration' in line]
    assert len(alarms) == 1
    assert (
        "the classification gradient norm of 'video' is nan at iteration 2"
        in alarms[0]
    )
    counts = [line for line in warnings if 'was not finite' in line]
    assert len(counts) == 1
    assert 'grad_norm_video was not finite in 3 of 8' in counts[0]
    assert np.isnan(
        read_table(tmp_path)['classification_grad_norm_video']
    ).tolist() == [i in (2, 5, 6) for i in range(1, 9)]


def test_it_is_registered():
    assert HOOKS.get('TaskGradientHook') is TaskGradientHook


@pytest.mark.parametrize('interval', [0, -1, 1.5])
def test_interval_is_checked(interval):
    with pytest.raises(ValueError, match='interval must be an integer >= 1'):
        TaskGradientHook(interval=interval)


def test_plotter_is_checked():
    with pytest.raises(ValueError, match=r"got 'mmgmp\.visualization\.nope'"):
        TaskGradientHook(plotter='mmgmp.visualization.nope')
    assert TaskGradientHook(plot=False, plotter='nowhere').plotter is None


@pytest.fixture(autouse=True)
def _quiet():
    """Leave the root logger as it was: MMEngine configures it."""
    handlers = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
