# Table 1: the video encoder alone, no domain task.
_base_ = 'erm_slowfast-r101-r18_1xb16-concat-20e_epic-d23-to-d1.py'
model = dict(encoders=dict(audio=None))
train_dataloader = dict(dataset=dict(modalities=['video']))
val_dataloader = dict(dataset=dict(modalities=['video']))
test_dataloader = dict(dataset=dict(modalities=['video']))
