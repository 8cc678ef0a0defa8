# JAT on EPIC-Kitchens, one file per action.
_base_ = ['../_base_/corpora/epic-clips.py', '../_base_/methods/jat.py']
model = _base_.jat.model
