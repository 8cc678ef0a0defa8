# No picture: zeros stand for its feature. 'translate' for SimMMDG.
# Tests any trained model; MMGMP_CONFIG names its config (an absolute path).
_base_ = '{{$MMGMP_CONFIG:../gmp/gmp_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py}}'
model = dict(missing_modalities=dict(video='zeros'))
