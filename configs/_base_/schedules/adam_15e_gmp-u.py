# The schedule and the rule of GMP's released code (variant U).
_base_ = 'adam_20e.py'
train_cfg = dict(max_epochs=15)
optim_wrapper = dict(
    modulation=dict(
        _delete_=True, type='VariantUModulation', alpha_k=0.5, alpha_p=0.5
    ),
    projection=dict(_delete_=True, type='VariantUProjection'),
)
