# Table 1: the audio encoder alone, no domain task.
_base_ = 'erm_slowfast-r101-r18_1xb16-concat-20e_epic-d13-to-d2.py'
model = dict(encoders=dict(video=None))
train_dataloader = dict(dataset=dict(modalities=['audio']))
val_dataloader = dict(dataset=dict(modalities=['audio']))
test_dataloader = dict(dataset=dict(modalities=['audio']))
