# Variant U with what its code hardly means: the discriminator stays at
# random, and so does layer4 of sound; statistics of frozen batch norms drift;
# the last epoch is tested (epoch_15.pth), whatever the validation says. What
# still differs from that code: its clock of 24 frames per second for sound,
# frames that come one early, and the numbers that the random layer4 and its
# batch norms start from (docs/decisions/protocol.md).
_base_ = 'gmp-u_epic-clips.py'
_method = dict(_base_.model.methods[0], train_discriminator=False)
model = dict(
    encoders=dict(
        video=dict(frozen_norm_eval=False), audio=dict(layer4_init='random')
    ),
    methods=[_method],
)
default_hooks = dict(checkpoint=dict(save_best=None))
