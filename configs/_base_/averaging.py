# Averaged weights for any algorithm: they are validated, selected and tested
# in place of the trained ones, which they do not change.
averaging = dict(
    ema=dict(type='TeacherHook', momentum=0.001),
    sma=dict(type='TeacherHook', ema_type='StochasticWeightAverage'),
)
