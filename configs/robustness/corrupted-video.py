# Damaged picture: kind blur, noise, compression or brightness, severity 1-5.
# Tests any trained model; MMGMP_CONFIG names its config (an absolute path).
_base_ = '{{$MMGMP_CONFIG:../gmp/gmp_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py}}'
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
