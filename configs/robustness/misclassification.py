# Does the confidence tell the model's errors apart: AURC, AUROC, FPR95.
# Tests any trained model; MMGMP_CONFIG names its config (an absolute path).
_base_ = '{{$MMGMP_CONFIG:../gmp/gmp_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py}}'
test_evaluator = [
    dict(type='AudioVisualAccuracy'),
    dict(type='MisclassificationDetection'),
]
