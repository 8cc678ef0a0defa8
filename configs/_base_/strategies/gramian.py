# Combiners of multi-task learning in place of CAGP; the rule is an option.
gramian = dict(
    optim_wrapper=dict(
        projection=dict(_delete_=True, type='GramianProjection', rule='mgda')
    ),
)
