# MWAM (ICLR 2026), each modality against its own past; as released:
# normalise='cross', ratio='abs', soft_begin=True.
mwam = dict(
    model=dict(methods=[dict(type='FrequencyRatioMethod')]),
    optim_wrapper=dict(modulation=dict(_delete_=True, type='MWAMModulation')),
)
