# One linear classifier per modality, with dropout but for sound.
_head = dict(type='MLPClassifierHead', num_classes=None, hidden_channels=0)
unimodal_heads = dict(video=_head, audio=dict(_head, dropout=0.0), flow=_head)
