# Table 2, row "BALGRAD" (NAACL 2025): partly inferred, see BalGradMethod.
_base_ = '../base/base_slowfast-r101-r18_1xb16-concat-20e_epic-d12-to-d3.py'
model = dict(
    methods=[dict(type='BalGradMethod')],
    unimodal_heads=dict(
        type='MLPClassifierHead', num_classes=8, hidden_channels=0, dropout=0.0
    ),
)
optim_wrapper = dict(projection=dict(_delete_=True, type='BalGradProjection'))
