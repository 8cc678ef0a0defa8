custom_imports = dict(
    imports=[
        'mmgmp.models',
        'mmgmp.engine',
        'mmgmp.datasets',
        'mmgmp.evaluation',
    ],
    allow_failed_imports=False,
)
default_scope = 'mmaction'
# Writes the protocol out, and checks the settings, before anything is built
# (docs/configs.md, docs/checks.md).
runner_type = 'ProtocolRunner'

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, ignore_last=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # The best checkpoint on the source domains' held-out clips is tested.
    checkpoint=dict(
        type='SafeCheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        save_best='acc/top1',
        rule='greater',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    sync_buffers=dict(type='SyncBuffersHook'),
    # Do the settings fit the data, the model and the checkpoint?
    settings=dict(type='SettingsCheckHook', allow_seen_target=False),
    task_gradient=dict(type='TaskGradientHook'),
    exact_resume=dict(type='ExactResumeHook'),
    summary=dict(type='RunSummaryHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
log_processor = dict(type='BriefLogProcessor', window_size=20, by_epoch=True)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='ActionVisualizer', vis_backends=vis_backends)
log_level = 'INFO'
load_from = None
resume = False
