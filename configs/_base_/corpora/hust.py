# HUST motor: vibration and sound of a motor; one of four speeds is unseen.
_base_ = [
    '../models/wdcnn.py',
    '../datasets/hust.py',
    '../schedules/adam_signals.py',
    '../default_runtime.py',
]
protocol = dict(
    domains=['5Hz', '10Hz', '20Hz', '30Hz'],
    target='5Hz',
    sources=None,
    modalities=['vibration', 'sound'],
    num_classes=6,
)
