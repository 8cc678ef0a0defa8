from __future__ import annotations

import pytest
from mmengine.config import Config

from mmgmp.apis.training_files import (
    Schedule,
    find_resume_point,
    prepare_resume,
    read_training,
    read_validation,
)

from .benchmark.toy import CONFIG, save_checkpoint, write_validation

SCHEDULE = Schedule('epoch', 3, 1, 1, 'acc/top1')


@pytest.fixture
def folder(tmp_path):
    """Two of three epochs are done; the second was better."""
    write_validation(tmp_path / '2026_1', {1: 0.25, 2: 0.5})
    save_checkpoint(tmp_path / 'epoch_1.pth', 1, 0.25)
    for name in ('epoch_2', 'best_acc_top1_epoch_2'):
        save_checkpoint(tmp_path / f'{name}.pth', 2, 0.5)
    return tmp_path


def name(path):
    return None if path is None else path.name


def test_the_schedule_is_read_off_a_config():
    schedule = Schedule.of(Config.fromstring(CONFIG, '.py'))
    assert schedule == Schedule('epoch', 2, 1, 1, 'acc/top1')


@pytest.mark.parametrize(
    ('schedule', 'steps'),
    [
        (Schedule('epoch', 5, 2, 1, None), [2, 4, 5]),
        (Schedule('epoch', 5, 1, 4, None), [4, 5]),
        (Schedule('epoch', 5, 0, 1, None), []),
    ],
)
def test_when_a_schedule_validates(schedule, steps):
    assert [s for s in range(1, 6) if schedule.validates_at(s)] == steps


def test_a_later_run_overrides_what_it_repeats(folder):
    write_validation(folder / '2026_2', {2: 0.75})
    history = read_validation(folder)
    assert {k: v['acc/top1'] for k, v in history.items()} == {1: 0.25, 2: 0.75}


def test_continue_from_the_newest_checkpoint(folder):
    assert name(find_resume_point(folder, SCHEDULE)) == 'epoch_2.pth'
    assert read_training(folder, SCHEDULE, 'best') is None


def test_a_checkpoint_cut_off_in_the_middle_is_passed_over(folder):
    whole = (folder / 'epoch_2.pth').read_bytes()
    (folder / 'epoch_3.pth').write_bytes(whole[: len(whole) // 2])
    assert name(find_resume_point(folder, SCHEDULE)) == 'epoch_2.pth'
    assert read_training(folder, SCHEDULE, 'best') is None


def test_killed_between_checkpoint_and_validation(folder):
    """Going on from epoch 3 would leave it out of the selection."""
    save_checkpoint(folder / 'epoch_3.pth', 2, 0.5)
    assert name(find_resume_point(folder, SCHEDULE)) == 'epoch_2.pth'


def test_killed_before_the_best_checkpoint_was_saved(folder):
    save_checkpoint(folder / 'epoch_3.pth', 2, 0.5)
    write_validation(folder / '2026_2', {3: 0.9})
    assert name(find_resume_point(folder, SCHEDULE)) == 'epoch_2.pth'


def test_without_its_best_checkpoint_a_run_starts_anew(folder):
    (folder / 'best_acc_top1_epoch_2.pth').unlink()
    (folder / 'epoch_1.pth').unlink()
    assert find_resume_point(folder, SCHEDULE) is None


@pytest.mark.parametrize(
    ('choice', 'file', 'step'),
    [('best', 'best_acc_top1_epoch_2.pth', 2), ('last', 'epoch_3.pth', 3)],
)
def test_a_complete_training(choice, file, step, folder):
    save_checkpoint(folder / 'epoch_3.pth', 2, 0.5)
    write_validation(folder / '2026_2', {3: 0.4})
    trained = read_training(folder, SCHEDULE, choice)
    assert (trained.checkpoint.name, trained.step) == (file, step)
    assert trained.validation['acc/top1'] == {2: 0.5, 3: 0.4}[step]


def test_younger_files_are_taken_away(folder):
    (folder / 'epoch_3.pth').write_bytes(b'cut')
    (folder / 'best_acc_top1_epoch_3.pth').write_bytes(b'cut')
    prepare_resume(folder, folder / 'epoch_2.pth')
    assert {path.name for path in folder.glob('*.pth')} == {
        'epoch_1.pth', 'epoch_2.pth', 'best_acc_top1_epoch_2.pth'
    }  # fmt: skip


def test_an_attempt_that_cannot_be_continued_is_kept_aside(folder):
    (folder / 'cell.json').write_text('{}')
    prepare_resume(folder, None)
    assert {path.name for path in folder.iterdir()} == {
        'cell.json', 'aborted-1'
    }  # fmt: skip
    assert len(list((folder / 'aborted-1').glob('*.pth'))) == 3
