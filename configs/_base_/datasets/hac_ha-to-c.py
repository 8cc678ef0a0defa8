# HAC: train on human and animal, test on cartoon.
_base_ = 'hac_ac-to-h.py'
_sources = ['human', 'animal']
train_dataloader = dict(dataset=dict(domains=_sources))
val_dataloader = dict(dataset=dict(domains=_sources))
test_dataloader = dict(dataset=dict(domains=['cartoon']))
