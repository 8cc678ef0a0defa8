# SAM: losses at the worst weights nearby, on plain joint training.
sam = dict(
    model=dict(domain_head=None, forward_plan=dict(type='SharpnessPlan')),
)
