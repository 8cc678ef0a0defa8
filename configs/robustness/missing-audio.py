# No sound: zeros stand for its feature. 'translate' for SimMMDG.
# Tests any trained model; MMGMP_CONFIG names its config (an absolute path).
_base_ = '{{$MMGMP_CONFIG:../_base_/training_config_unset.py}}'
model = dict(missing_modalities=dict(audio='zeros'))
