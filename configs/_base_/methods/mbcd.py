# MBCD: averaged teacher, modality dropout, gradient consistency.
mbcd = dict(
    model=dict(
        domain_head=None,
        unimodal_heads=dict(
            type='MLPClassifierHead', num_classes=None, hidden_channels=512
        ),
        feature_transforms=[dict(type='FeatureNorm')],
        forward_plan=dict(type='InnerStepPlan', step_size=1e-4),
        methods=[dict(type='MBCDMethod')],
    ),
    teacher=dict(type='TeacherHook', momentum=0.001),
)
