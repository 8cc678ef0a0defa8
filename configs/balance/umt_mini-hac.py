# UMT (ICML 2023): each encoder near its twin that was trained alone.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/umt.py']
model = _base_.umt.model
