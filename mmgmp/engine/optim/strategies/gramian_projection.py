"""Standard combiners of two gradients, for comparison with CAGP."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgmp.engine.optim.strategies import gramian_rules as rules
from mmgmp.engine.optim.strategies.base import Projection
from mmgmp.registry import PROJECTIONS
from mmgmp.structures import BatchSignals, Coefficients, GradientProducts
from mmgmp.utils.checks import check_choice

_LENGTHS = ('harmonic', 'arithmetic', 'nash')
#: Lengths of the bisector, by the name of the paper.
_ALIASES = dict(zip(('imtl_g', 'config', 'nash'), _LENGTHS, strict=True))
_RULES = ('mgda', 'bisector', 'aligned', 'dualproj', 'cagrad', 'gradvac')
_SCOPES = ('modality', 'global')
_TINY = torch.finfo(torch.float32).tiny
#: Shorter than this part of the gradients, an update counts as none.
_STATIONARY = 0.01


@PROJECTIONS.register_module()
class GramianProjection(Projection):
    """Combine the task gradients by a rule of multi-task learning.

    Each rule needs the inner products of the two modulated gradients only,
    and none reads the ratios between modalities, which is the point of
    comparing them with CAGP. For two tasks UPGrad is PCGrad
    (``TaskProjection``) up to a factor, and IMTL-G, ConFIG and Nash-MTL
    differ in length only.

    Rules published as convex combinations are multiplied by ``total``, so
    that two equal gradients add up as they do without a projection [choice].
    Where a gradient is zero the two are added. Steps in which an encoder
    hardly moves (the update is below 1 % of the gradients [choice]) are
    counted; once more than half of an epoch are such, there is a warning.

    Args:
        rule: How the two are combined.

            - ``'mgda'``: point of least norm; times ``total``.
            - ``'bisector'``: along the bisector of the two directions.
              ``'imtl_g'``, ``'config'`` and ``'nash'`` name its lengths.
            - ``'aligned'`` (Aligned-MTL): made orthogonal and equally long.
            - ``'dualproj'``: the sum, unless it opposes one of the two.
            - ``'cagrad'``: near the mean; times ``total``.
            - ``'gradvac'``: moved towards a cosine that is the running mean
              of each encoder's, from 0 on.
        scope: ``'modality'`` combines for each encoder by itself,
            ``'global'`` by inner products over all encoders together.
        length: Of the bisector: ``'harmonic'`` mean of the two norms (times
            ``total``), ``'arithmetic'`` mean of them times the length of the
            sum of the two unit vectors, or ``'nash'``, which is
            ``max_norm`` whatever the gradients are.
        total: Factor of a convex combination, > 0; 1 is as published.
        radius: c of CAGrad, >= 0; 0.4 in the paper, 0.5 in LibMTL.
        rescale: Whether CAGrad is divided by ``1 + radius^2``, as in LibMTL
            [release].
        beta: Step of GradVac's running mean, in (0, 1]; 0.01 in the paper,
            0.5 in LibMTL.
        max_norm: Largest length under ``'nash'``, sqrt(2) at most [release];
            None sets no limit.
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If an option is unknown or out of range.

    Example:
        >>> one = torch.ones(1)
        >>> signals = BatchSignals(('video',), one, one)
        >>> factors, conflict = GramianProjection('dualproj').project(
        ...     GradientProducts(16 * one, 2 * one, -4 * one),
        ...     Coefficients(one, one, one), signals)
        >>> factors.classification, factors.domain, conflict
        (tensor([1.]), tensor([2.]), tensor([True]))

    Source: the functions of ``gramian_rules`` name the papers.
    """

    def __init__(
        self,
        rule: str = 'mgda',
        scope: str = 'modality',
        length: str = 'harmonic',
        total: float = 2.0,
        radius: float = 0.4,
        rescale: bool = False,
        beta: float = 0.01,
        max_norm: float | None = 1.0,
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(start_epoch, end_epoch)
        advice = 'set optim_wrapper.projection.'
        for name, value, known in (
            ('rule', rule, (*_RULES, *_ALIASES)),
            ('scope', scope, _SCOPES),
            ('length', length, _LENGTHS),
        ):
            check_choice(name, value, known, f'{advice}{name}')
        for name, number, is_right, wanted in (
            ('total', total, total > 0, '> 0'),
            ('radius', radius, radius >= 0, '>= 0'),
            ('beta', beta, 0 < beta <= 1, 'in (0, 1]'),
            ('max_norm', max_norm, max_norm is None or max_norm > 0, '> 0'),
        ):
            if not is_right:
                raise ValueError(
                    f'{name} of GramianProjection must be {wanted}, got '
                    f'{number}; {advice}{name}'
                )
        self.rule = 'bisector' if rule in _ALIASES else rule
        self.length = _ALIASES.get(rule, length)
        self.scope = scope
        self.total = total
        self.radius = radius
        self.rescale = rescale
        self.beta = beta
        self.max_norm = max_norm
        self.target: Tensor | None = None
        if rule == 'gradvac':
            self.state_names = ('target',)
        self._modalities: tuple[str, ...] = ()
        self._stationary: Tensor | None = None
        self._steps = 0
        self._has_warned = False

    def project(
        self,
        products: GradientProducts,
        coefficients: Coefficients,
        signals: BatchSignals,
    ) -> tuple[Coefficients, Tensor]:
        """Return the factors after projection; see the base class."""
        first, second = self.pair
        k, p, products = self.modulated(
            products, coefficients, self.scope == 'global'
        )
        a, b, d = products.classification, products.domain, products.cross
        lost = 0 * (a + b + d)
        # A gradient that is zero, or whose square underflows: added.
        absent = (a < _TINY) | (b < _TINY)
        one = torch.ones_like(a)
        a, b = (torch.where(absent, one, x) for x in (a, b))
        # By the larger one, so that no product of two overflows.
        unit = torch.maximum(a, b)
        scaled = a / unit, b / unit, torch.where(absent, 0, d) / unit
        u, v = self._factors(*scaled)
        if self.rule == 'bisector' and self.length == 'nash':
            # The one rule that does not grow with the gradients, nor with
            # the scale of a loss.
            length = products.unit / unit.sqrt()
            u, v = u * length, v * length
        else:
            self._count(u, v, *scaled, absent, signals)
        if self.rule == 'gradvac':
            self._follow(*scaled, absent)
        # A rule may leave the other gradient as it is; NaN must not be missed.
        u, v = (torch.where(absent, one, x) + lost for x in (u, v))
        return coefficients.replace({first: k * u, second: p * v}), d < 0

    def _factors(self, a: Tensor, b: Tensor, d: Tensor) -> rules.Factors:
        total = 1.0
        if self.rule == 'mgda':
            u, v = rules.mgda(a, b, d)
            total = self.total
        elif self.rule == 'aligned':
            u, v = rules.aligned(a, b, d)
        elif self.rule == 'dualproj':
            u, v = rules.dualproj(a, b, d)
        elif self.rule == 'cagrad':
            u, v = rules.cagrad(a, b, d, self.radius)
            shrink = 1 + self.radius**2 if self.rescale else 1.0
            total = self.total / shrink
        elif self.rule == 'gradvac':
            if self.target is None:
                self.target = torch.zeros_like(a)
            u, v = rules.gradvac(a, b, d, self.target.to(a))
        else:
            u, v = rules.bisector(a, b, d, self.length, self.max_norm)
            total = self.total if self.length == 'harmonic' else 1.0
        return total * u, total * v

    def _follow(self, a: Tensor, b: Tensor, d: Tensor, absent: Tensor) -> None:
        """Move GradVac's target; not by what is no cosine."""
        assert self.target is not None
        found = rules.cosine(a, b, d)
        is_seen = ~absent & (a + b + d).isfinite().all()
        target = self.target.to(found)
        self.target = torch.where(
            is_seen, target + self.beta * (found - target), target
        )

    # -- encoders that stand still ----------------------------------------

    def _count(
        self,
        u: Tensor,
        v: Tensor,
        a: Tensor,
        b: Tensor,
        d: Tensor,
        absent: Tensor,
        signals: BatchSignals,
    ) -> None:
        """Count, on the device, the steps in which an encoder stays."""
        if not self.is_active(signals.epoch):
            return
        square = u * u * a + v * v * b + 2 * u * v * d
        found = (square <= _STATIONARY**2 * (a + b)) & ~absent
        before = self._stationary
        self._stationary = found + (0 if before is None else before)
        self._modalities = signals.modalities
        self._steps += 1

    def epoch_remark(self) -> str:
        """Say once which encoders stood still in the epoch that ends."""
        counts, steps = self._stationary, self._steps
        self._stationary, self._steps = None, 0
        if counts is None or self._has_warned:
            return ''
        still = [
            modality
            for modality, count in zip(
                self._modalities, counts.tolist(), strict=True
            )
            if count > steps / 2
        ]
        if not still:
            return ''
        self._has_warned = True
        return (
            f'GramianProjection: in more than half of the {steps} steps of '
            f'this epoch the two task gradients of {still} cancelled, and '
            'the encoder stood still. An adversarial domain loss and the '
            'classification loss may balance so; lower '
            'model.domain_head.domain_weight or choose another '
            'optim_wrapper.projection.rule'
        )
