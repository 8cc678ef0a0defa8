from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch
from mmaction.structures import ActionDataSample

from mmgmp.engine.hooks import BranchVisualizationHook


def sample(name, label):
    found = ActionDataSample().set_gt_label(label)
    found.set_pred_score(torch.tensor([0.25, 0.75]))
    found.set_field({'audio': torch.tensor([1.0, 0.0])}, 'modality_scores')
    found.set_metainfo({'sample_id': name})
    return found


def batch(*numbers):
    return {'inputs': {'audio': [torch.full((1, 2, 2), n) for n in numbers]}}


@pytest.fixture
def runner(tmp_path):
    return SimpleNamespace(
        visualizer=SimpleNamespace(dataset_meta={'classes': ['run', 'sit']}),
        log_dir=str(tmp_path / 'log'),
        logger=logging.getLogger('test'),
        epoch=3,
    )


@pytest.fixture
def drawn(monkeypatch):
    """A hook that is switched on, and what it writes."""
    calls = []
    hook = BranchVisualizationHook(enable=True, interval=2)
    hook.write = lambda *args, **kwargs: calls.append((args, kwargs))
    return hook, calls


def test_every_second_sample_is_drawn_over_all_batches(drawn, runner):
    hook, calls = drawn
    hook.before_test_epoch(runner)
    hook.after_test_iter(
        runner, 0, batch(0, 1, 2), [sample(f'h/{i}', 0) for i in range(3)]
    )
    hook.after_test_iter(
        runner, 1, batch(3, 4), [sample(f'h/{i}', 1) for i in (3, 4)]
    )
    names = [args[0].name for args, _ in calls]
    assert names == ['h-0.mp4', 'h-2.mp4', 'h-4.mp4']
    assert [args[1]['audio'][0, 0, 0].item() for args, _ in calls] == [0, 2, 4]
    (path, _, scores), options = calls[-1]
    assert path.parent.parts[-3:] == ('log', 'vis_data', 'clips')
    assert scores == {
        'fused': {'run': 0.25, 'sit': 0.75},
        'audio': {'run': 1.0, 'sit': 0.0},
    }
    assert options == {'caption': 'true class: sit', 'fps': 4.0}


def test_validations_keep_their_epochs_apart(drawn, runner, tmp_path):
    hook, calls = drawn
    hook.out_dir = str(tmp_path / 'out')
    for _ in range(2):
        hook.before_val_epoch(runner)
        hook.after_val_iter(runner, 0, batch(0), [sample('h/0', 0)])
    assert [args[0] for args, _ in calls] == [tmp_path / 'out/h-0_3.mp4'] * 2


def test_classes_without_names_are_numbered(drawn, runner):
    hook, calls = drawn
    runner.visualizer.dataset_meta = None
    hook.after_test_iter(runner, 0, batch(0), [sample('h/0', 1)])
    assert calls[0][1]['caption'] == 'true class: class 1'


def test_it_is_off_until_a_script_switches_it_on(drawn, runner):
    hook, calls = drawn
    hook.enable = False
    hook.after_test_iter(runner, 0, batch(0), [sample('h/0', 1)])
    assert not calls


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'interval': 0}, 'interval must be an integer >= 1, got 0'),
        ({'show': True}, 'show must be False.*--show-dir'),
        ({'fps': 0}, 'fps must be > 0'),
        ({'writer': 'mmgmp.nowhere.at_all'}, "got 'mmgmp.nowhere.at_all'"),
    ],
)
def test_wrong_options_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        BranchVisualizationHook(**options)
