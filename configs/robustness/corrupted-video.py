# Damaged picture: kind blur, noise, compression or brightness, severity 1-5.
# Tests any trained model; MMGMP_CONFIG names its config (an absolute path).
_base_ = '{{$MMGMP_CONFIG:../_base_/training_config_unset.py}}'
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(
                type='CorruptedPipeline',
                transforms={{_base_.test_dataloader.dataset.pipeline}},
                corruptions=dict(
                    video=dict(type='CorruptVideo', kind='blur', severity=3)
                ),
            )
        ]
    )
)
