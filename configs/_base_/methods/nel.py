# NEL: two views, nonpolarized embeddings.
nel = dict(
    model=dict(
        domain_head=None,
        methods=[dict(type='NELMethod')],
        forward_plan=dict(type='MultiViewPlan', num_views=2),
    ),
)
