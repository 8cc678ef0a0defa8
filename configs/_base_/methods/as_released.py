# What the methods' own codes set besides the method: epochs, learning rate,
# weight decay, width of the fused classifier. The leaves keep to the GMP
# paper's, so that methods differ in the method alone; a file of yours that
# names a leaf and this block takes one (docs/decisions/methods.md).
_decay = dict(optimizer=dict(weight_decay=1e-4))
_wide = dict(cls_head=dict(hidden_channels=512))
as_released = dict(
    cmrf=dict(
        model=_wide, train_cfg=dict(max_epochs=15), optim_wrapper=_decay
    ),
    # Its authors' later code: 20 epochs and a weight decay of 1e-4.
    jat=dict(model=_wide, train_cfg=dict(max_epochs=15), optim_wrapper={}),
    mbcd=dict(model=_wide, train_cfg={}, optim_wrapper=_decay),
    nel=dict(
        model=_wide,
        train_cfg=dict(max_epochs=15),
        optim_wrapper=_decay,
        # Stepped per epoch.
        param_scheduler=[
            dict(
                type='CosineAnnealingLR',
                T_max=15,
                eta_min=1e-6,
                by_epoch=True,
            )
        ],
    ),
)
