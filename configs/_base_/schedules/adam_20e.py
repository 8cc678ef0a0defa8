# The paper's schedule: Adam at a constant learning rate, 20 epochs, batch 16;
# strategies fill in modulation and projection.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='GMPOptimWrapperConstructor',
    optimizer=dict(type='Adam', lr=1e-4),
    modulation=None,
    projection=None,
)
param_scheduler = []
auto_scale_lr = dict(enable=False, base_batch_size=16)
