# SimMMDG on EPIC-Kitchens, one file per action.
_base_ = ['../_base_/corpora/epic-clips.py', '../_base_/methods/simmmdg.py']
model = _base_.simmmdg.model
