# Adam as in the released benchmark (arXiv 2605.06643) on HUST motor; it takes
# 10000 steps of 128 windows. Strategies fill in modulation and projection.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=30, val_interval=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='GMPOptimWrapperConstructor',
    optimizer=dict(type='Adam', lr=1e-3, weight_decay=5e-4),
    modulation=None,
    projection=None,
)
param_scheduler = []
auto_scale_lr = dict(enable=False, base_batch_size=64)
