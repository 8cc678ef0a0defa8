# DRB (ECCV 2024): encoders are pulled back after every fifth epoch.
drb = dict(hook=dict(type='DRBHook', mu=3.0, interval=5, times=3))
