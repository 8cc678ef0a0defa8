# Other synthetic classes in other styles than mini-HAC's, to pretrain on.
_base_ = 'mini-hac.py'
data_root = 'data/pretext'
model = dict(
    encoders=dict(
        video=dict(frozen_stages=-1, pretrained=None),
        audio=dict(frozen_stages=-1, pretrained=None),
    ),
    domain_head=None,
)
train_dataloader = dict(
    dataset=dict(ann_file='pretext_train.json', data_root=data_root)
)
val_dataloader = dict(
    dataset=dict(ann_file='pretext_test.json', data_root=data_root)
)
test_dataloader = dict(
    dataset=dict(ann_file='pretext_test.json', data_root=data_root)
)
# No domain is unseen: the test clips are other clips of the same styles.
protocol = dict(
    domains=['pretext'],
    target=None,
    in_domain=True,
    num_classes=16,
    foreign=None,
)
