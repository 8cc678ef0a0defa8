"""The check reads as training does, and with a config by its transforms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mmgmp.apis.data_check import check_data
from mmgmp.apis.media_checks import (
    CheckSettings,
    MediaJob,
    Segment,
    check_media,
)
from mmgmp.apis.training_reads import read_config
from mmgmp.registry import TRANSFORMS
from mmgmp.testing.media import write_audio, write_video
from tests.datasets.conftest import moving_frames

RATE = 16000


def wave(seconds: float = 2.0) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * RATE))


def kinds(path: Path, **settings: Any) -> list[str]:
    job = MediaJob('sound', (str(path),), '', (Segment('a'),), 'audio')
    found = check_media(job, CheckSettings(**settings))
    return [fault.kind for fault in found.faults]


class Corpus:
    """A class in two domains, two clips each, whole files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.samples: list[dict[str, Any]] = []
        write_video(root / 'v.mp4', moving_frames(48))
        for domain in ('here', 'there'):
            for number in range(2):
                name = f'{domain}/{number}'
                sound = f'{domain} {number}.wav'
                write_audio(root / sound, wave())
                self.samples.append(
                    dict(
                        id=name,
                        domain=domain,
                        label=0,
                        video=dict(path='v.mp4'),
                        audio=dict(path=sound),
                    )
                )

    def write(self, **metainfo: Any) -> str:
        given = {'classes': ['walk'], 'domains': ['here', 'there']} | metainfo
        content = dict(metainfo=given, data_list=self.samples)
        path = self.root / 'train.json'
        path.write_text(json.dumps(content))
        return str(path)

    def config(self, audio=None, **options: Any) -> dict[str, Any]:
        pipeline = dict(
            type='MultiModalPipeline',
            order=['video', 'audio'],
            video=[
                dict(type='PyAVSeekInit'),
                dict(type='SampleFrames', clip_len=4),
                dict(type='PyAVSeekDecode'),
                dict(type='CenterCrop', crop_size=10**5),
            ],
            audio=[
                audio or dict(type='LoadAudioSegment', crop='clip'),
                dict(type='LogSpectrogram'),
            ],
        )
        dataset = dict(
            type='AudioVisualDataset',
            ann_file='train.json',
            data_root=str(self.root),
            pipeline=[pipeline, dict(type='PackMultiModalInputs')],
            skip_list='written by the check.txt',
            **options,
        )
        return dict(train_dataloader=dict(dataset=dataset))


@pytest.fixture
def corpus(tmp_path):
    return Corpus(tmp_path)


def test_what_training_reads_is_not_broken(tmp_path):
    """Opus among others, whatever the file is called."""
    for name, form in (('a.opus', 'OGG'), ('b.sound', 'FLAC')):
        path = tmp_path / name
        subtype = 'OPUS' if form == 'OGG' else None
        soundfile.write(path, wave(), 16000, subtype, format=form)
        found = TRANSFORMS.build(dict(type='LoadAudioSegment'))(
            dict(filename=str(path))
        )
        assert len(found['waveform'])
        sample = dict(id='a', domain='d', label=0, audio=dict(path=name))
        content = dict(
            metainfo=dict(classes=['c'], domains=['d']), data_list=[sample]
        )
        (tmp_path / 'a.json').write_text(json.dumps(content))
        report = check_data(['a.json'], root=str(tmp_path))
        assert not report.sample_ids()


def test_what_training_cannot_read_as_sound_is_broken(corpus):
    """A video named as the sound."""
    corpus.samples[0]['audio']['path'] = 'v.mp4'
    report = check_data([corpus.write()], str(corpus.root))
    assert report.sample_ids(['undecodable']) == ['here/0']
    assert report.modalities['audio']['undecodable'] == 1
    assert 'undecodable' not in report.modalities['video']


def test_silence_is_judged_after_the_channel_rule(tmp_path):
    path = tmp_path / 'left.wav'
    soundfile.write(path, np.stack([0 * wave(), wave()], 1), RATE)
    assert kinds(path, sound=dict(channel='first')) == ['silent']
    assert kinds(path, sound=dict(channel='mean')) == []


def test_pictures_read_alone_are_those_read_in_order(tmp_path, monkeypatch):
    path = str(tmp_path / 'v.mp4')
    write_video(path, moving_frames(48))
    part = Segment('a', 0.5, 1.5)
    job = MediaJob('video', (path,), '', (part,), 'video')
    assert check_media(job, CheckSettings()).faults == ()
    from mmgmp.apis import video_check

    real = video_check.decode_frames

    def one_late(path, numbers):
        frames, count = real(path, [number + 1 for number in numbers])
        return {number - 1: x for number, x in frames.items()}, count

    monkeypatch.setattr(video_check, 'decode_frames', one_late)
    job = MediaJob('video', (path,), '', (Segment('a', 0.5, 1.0),), 'video')
    monkeypatch.setattr(video_check, '_SPREAD', 1)
    [fault] = check_media(job, CheckSettings()).faults
    assert fault.kind == 'undecodable'
    assert 'frame 0, read alone, is another' in fault.message


def test_classes_and_domains_are_counted(corpus):
    del corpus.samples[3]
    path = corpus.write(
        classes=['walk', 'run'], domains=['here', 'there', 'nowhere']
    )
    settings = CheckSettings(min_samples=2)
    report = check_data([path], str(corpus.root), settings)
    [split] = report.splits
    assert split.split == 'train'
    assert split.counts == {'here': (2, 0), 'there': (1, 0), 'nowhere': (0, 0)}
    assert [fault.message for fault in report.faults] == [
        "domain 'nowhere' has no samples, expected 2 of each class",
        "class 'run' has no samples, expected 2 in each domain",
        "class 'walk' has 1 samples in domain 'there', expected 2",
    ]
    assert report.counts == {'few': 3}
    settings = CheckSettings(min_samples=0)
    assert not check_data([path], str(corpus.root), settings).faults


def test_what_modalities_lack_is_told(corpus):
    del corpus.samples[0]['audio']
    (corpus.root / 'here 1.wav').unlink()
    path, root = corpus.write(), str(corpus.root)
    report = check_data([path], root)
    assert report.modalities == {
        'video': {'entries': 4, 'no entry': 0},
        'audio': {'entries': 3, 'no entry': 1, 'missing': 1},
    }
    assert report.counts == {'missing': 1}
    report = check_data([path], root, modalities=['video', 'audio'])
    assert report.counts == {'missing': 1, 'lacking': 1}
    assert report.sample_ids() == ['here/0', 'here/1']


def test_a_config_says_what_may_lack(corpus):
    del corpus.samples[0]['audio']
    (corpus.root / 'here 1.wav').unlink()
    corpus.write()
    config = corpus.config(on_missing=dict(audio='zeros'))
    report = check_data(config=config)
    assert report.num_samples == 4
    assert not report.faults
    assert report.modalities['audio']['missing'] == 1
    report = check_data(config=corpus.config())
    assert report.sample_ids() == ['here/0', 'here/1']


def test_a_config_is_read_with_its_own_transforms(corpus):
    """Its channel rule, and whatever its decoder says."""
    sound = np.stack([0 * wave(), wave()], 1)
    soundfile.write(corpus.root / 'here 1.wav', sound, RATE)
    corpus.write()
    audio = dict(type='LoadAudioSegment', crop='clip', channel='first')
    report = check_data(config=corpus.config(audio))
    assert report.sample_ids(['silent']) == ['here/1']
    config = corpus.config()
    lists = config['train_dataloader']['dataset']['pipeline'][0]
    lists['video'][2] = dict(type='OpenCVDecode')
    report = check_data(config=config)
    assert len(report.sample_ids(['unreadable'])) == 4
    fault = next(f for f in report.faults if f.kind == 'unreadable')
    assert fault.modality == 'video'
    assert fault.path == str(corpus.root / 'v.mp4')
    assert "KeyError: 'video_reader'" in fault.message


def test_datasets_are_found_in_wrappers(corpus):
    dataset = corpus.config()['train_dataloader']['dataset']
    views = dict(type='MultiViewPipeline', transforms=dataset['pipeline'])
    dataset['pipeline'] = [views]
    wrapped = dict(type='RepeatDataset', times=2, dataset=dataset)
    reads = read_config(dict(train_dataloader=dict(dataset=wrapped)))
    assert reads.ann_files == [str(corpus.root / 'train.json')]
    assert reads.sound_options == {'audio': {}}
    with pytest.raises(ValueError, match='none of .* AudioVisualDataset'):
        read_config(dict(train_dataloader=dict(dataset=dict(type='Other'))))


def test_the_report_survives_names_that_are_no_unicode(corpus):
    corpus.samples[0]['audio']['path'] = 'a\ud800.wav'
    path, target = corpus.write(), corpus.root / 'report.json'
    for _ in range(2):
        report = check_data([path], str(corpus.root), report_path=str(target))
        assert report.sample_ids(['annotation']) == ['here/0']
    content = json.loads(target.read_text(encoding='utf-8'))
    assert 'a\\ud800.wav' in content['faults'][0]['message']
    assert content['splits'][0]['counts'] == {'here': [1], 'there': [2]}
    assert content['modalities']['audio']['entries'] == 3


def test_any_error_of_a_reader_is_a_fault_of_its_file(corpus, monkeypatch):
    def fail(*args):
        raise AssertionError('of a decoder')

    from mmgmp.apis import media_checks

    monkeypatch.setitem(media_checks._CHECKS, 'video', fail)
    report = check_data([corpus.write()], str(corpus.root))
    assert report.counts == {'undecodable': 1}
    assert report.faults[0].message == 'AssertionError: of a decoder'
