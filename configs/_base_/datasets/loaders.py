# Loaders of every corpus, which fills in its files and pipelines. Domains and
# modalities are filled in from the protocol.
_dataset = dict(type='AudioVisualDataset', domains=[], modalities=[])
_loader = dict(batch_size=16, num_workers=8, persistent_workers=True)
_in_order = dict(
    **_loader,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**_dataset, test_mode=True),
)
train_dataloader = dict(
    **_loader,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=_dataset,
)
val_dataloader = _in_order
test_dataloader = _in_order
val_evaluator = dict(type='AudioVisualAccuracy')
test_evaluator = dict(type='AudioVisualAccuracy')
del _dataset, _loader, _in_order
