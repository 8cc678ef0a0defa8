# Does the confidence tell the model's errors apart: AURC, AUROC, FPR95.
# Tests any trained model; MMGMP_CONFIG names its config (an absolute path).
_base_ = '{{$MMGMP_CONFIG:../_base_/training_config_unset.py}}'
test_evaluator = [
    dict(type='AudioVisualAccuracy'),
    dict(type='MisclassificationDetection'),
]
