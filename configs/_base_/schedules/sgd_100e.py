# Training from random weights, as in the released code of OGM-GE: SGD, 100
# epochs, batch 64, a tenth of the learning rate after epoch 70; strategies
# fill in modulation and projection.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='GMPOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=1e-4),
    modulation=None,
    projection=None,
)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[70], gamma=0.1)
]
auto_scale_lr = dict(enable=False, base_batch_size=64)
