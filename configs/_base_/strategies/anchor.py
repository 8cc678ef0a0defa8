# The encoder that is ahead, held near where it was when the epoch began:
# InfoReg (CVPR 2025), and the pull of RedReg (arXiv 2511.13755).
inforeg = dict(
    optim_wrapper=dict(
        modulation=dict(_delete_=True, type='AnchorModulation', kappa=0.5)
    ),
)
redreg = dict(
    optim_wrapper=dict(
        modulation=dict(
            _delete_=True,
            type='AnchorModulation',
            pull='orthogonal',
            kappa=1.0,
            slope=0.9,
            fisher_window=None,
        )
    ),
)
