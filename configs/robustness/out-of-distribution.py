# Does the confidence tell a foreign corpus apart: AUROC, FPR95. By default
# the foreign one is EPIC-Kitchens D1, as one mp4 file per action.
# Tests any trained model; MMGMP_CONFIG names its config (an absolute path).
_base_ = '{{$MMGMP_CONFIG:../_base_/training_config_unset.py}}'
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        ignore_keys=['corpus', 'classes', 'domains'],
        datasets=[
            {{_base_.test_dataloader.dataset}},
            dict(
                type='AudioVisualDataset',
                ann_file='epic_test.json',
                data_root='data/EPIC',
                domains=['D1'],
                modalities=['video', 'audio'],
                pipeline={{_base_.test_dataloader.dataset.pipeline}},
                test_mode=True,
            ),
        ],
    )
)
test_evaluator = dict(
    _delete_=True,
    type='OutOfDistributionDetection',
    foreign_domains=['D1'],
)
