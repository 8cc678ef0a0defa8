# MBCD: averaged teacher, modality dropout, gradient consistency.
_base_ = '../base/erm_slowfast-r18-r18_1xb16-concat-10e_mini-hac-hc-to-a.py'
model = dict(
    unimodal_heads=dict(
        type='MLPClassifierHead', num_classes=7, hidden_channels=512
    ),
    feature_transforms=[dict(type='FeatureNorm')],
    forward_plan=dict(type='InnerStepPlan', step_size=1e-4),
    methods=[dict(type='MBCDMethod')],
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='TeacherHook', momentum=0.02),
]
