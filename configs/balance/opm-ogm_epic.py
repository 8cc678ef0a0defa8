# OPM and OGM-GE together, the joint setting of the journal paper (TPAMI 2024).
_base_ = 'opm_epic.py'
optim_wrapper = _base_.ogm.optim_wrapper
