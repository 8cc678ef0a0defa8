# Kinetics-Sounds: actions with a sound, one domain, split into training and test.
_base_ = [
    '../models/r18_r18_scratch.py',
    '../datasets/kinetics-sounds.py',
    '../schedules/sgd_100e.py',
    '../default_runtime.py',
]
# No domain is unseen: the test clips are other clips of the same one.
protocol = dict(
    domains=['kinetics-sounds'],
    target=None,
    in_domain=True,
    sources=None,
    modalities=['video', 'audio'],
    num_classes=31,
)
# There is no validation split: the last epoch is tested.
default_hooks = dict(checkpoint=dict(save_best=None))
