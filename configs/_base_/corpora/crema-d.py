# CREMA-D: acted emotions, one domain, split into training and test clips.
_base_ = [
    '../models/r18_r18_scratch.py',
    '../datasets/crema-d.py',
    '../schedules/sgd_100e.py',
    '../default_runtime.py',
]
# No domain is unseen: the test clips are other clips of the same one.
protocol = dict(
    domains=['crema-d'],
    target=None,
    in_domain=True,
    sources=None,
    modalities=['video', 'audio'],
    num_classes=6,
)
# There is no validation split: the last epoch is tested.
default_hooks = dict(checkpoint=dict(save_best=None))
