# Pretrain the encoders of mini-HAC, one modality at a time:
#   python tools/train.py configs/pretrain/erm_pretext.py \
#       --work-dir work_dirs/pretext/video --seed 0 \
#       --cfg-options protocol.modalities="[video]"
_base_ = '../_base_/corpora/pretext.py'
model = dict(cls_head=dict(dropout=0.0))
train_cfg = dict(max_epochs=16, val_interval=4)
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=2e-3,
        total_steps=1600,
        by_epoch=False,
    )
]
