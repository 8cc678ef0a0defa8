# SWAD: weights averaged over the valley of the source validation loss.
swad = dict(
    model=dict(domain_head=None),
    teacher=dict(type='SWADHook', interval=100),
)
