"""Two gradients combined from their three inner products alone.

Each rule takes ``a = |g_c|^2``, ``b = |g_d|^2``, ``d = g_c . g_d``, tensors of
one shape, and returns the factors (u, v) of ``G = u g_c + v g_d``. For two
gradients these are closed forms: nothing is searched for. Both gradients are
taken to be there; a and b may differ by many orders of magnitude.
"""

from __future__ import annotations

import torch
from torch import Tensor

Factors = tuple[Tensor, Tensor]

#: Of a norm that counts as zero beside those of the gradients: well above
#: the rounding of float32 gradients.
_NOTHING = 1e-6
_NEARLY_ONE = 1e-6


def mgda(a: Tensor, b: Tensor, d: Tensor) -> Factors:
    """Point of least norm between the two; zero where they are opposite.

    Args:
        a: Squared norm of the first.
        b: Squared norm of the second.
        d: Their inner product.

    Example:
        >>> mgda(torch.tensor(1.), torch.tensor(2.), torch.tensor(-1.))
        (tensor(0.6000), tensor(0.4000))

    Source: MGDA for multi-task learning, Sener and Koltun, NeurIPS 2018.
    """
    distance = a + b - 2 * d
    u = _divide(b - d, distance, 0.5).clamp(0, 1)
    return u, 1 - u


def bisector(
    a: Tensor, b: Tensor, d: Tensor, length: str, max_norm: float | None
) -> Factors:
    """Along the bisector of the two directions.

    Args:
        a: Squared norm of the first.
        b: Squared norm of the second.
        d: Their inner product.
        length: ``'harmonic'`` (IMTL-G), ``'arithmetic'`` (ConFIG) or
            ``'nash'``, whose result is sqrt(2) long, or ``max_norm``.
        max_norm: Largest length for ``'nash'``; None sets no limit.

    Example:
        >>> one, two = torch.tensor(1.), torch.tensor(2.)
        >>> bisector(one, two, -one, 'harmonic', None)
        (tensor(0.5858), tensor(0.4142))
        >>> bisector(one, two, -one, 'nash', None)
        (tensor(1.8478), tensor(1.3066))

    Source: IMTL, Liu et al., ICLR 2021; ConFIG, Liu et al., ICLR 2025;
    Nash-MTL, Navon et al., ICML 2022 (arXiv 2202.01017). [choice] 1 + cos is
    at least 1e-6 for ``'nash'``.
    """
    first, second = a.sqrt(), b.sqrt()
    if length == 'harmonic':
        return second / (first + second), first / (first + second)
    if length == 'arithmetic':
        mean = (first + second) / 2
        return mean / first, mean / second
    size = (1 + cosine(a, b, d)).clamp(min=_NEARLY_ONE).rsqrt()
    if max_norm is not None:
        size = size * min(1.0, max_norm / 2**0.5)
    return size / first, size / second


def aligned(a: Tensor, b: Tensor, d: Tensor) -> Factors:
    """Nearest orthogonal pair of the smaller principal length, summed.

    Where the two are collinear there is one principal direction, onto which
    their unit vectors are projected.

    Args:
        a: Squared norm of the first.
        b: Squared norm of the second.
        d: Their inner product.

    Example:
        >>> aligned(torch.tensor(1.), torch.tensor(2.), torch.tensor(-1.))
        (tensor(1.1056), tensor(0.8292))

    Source: Aligned-MTL, Senushkin et al., CVPR 2023.
    """
    total = a + b
    area = (a * b - d * d).clamp(min=0).sqrt()
    spread = ((a - b).square() + 4 * d * d).sqrt()
    # The smaller eigenvalue is 2 area^2 / (total + spread): its root over
    # the area, which the published form divides by, never divides by zero.
    scale = (2 / ((total + spread) * (total + 2 * area))).sqrt()
    first, second = a.sqrt(), d.sign() * b.sqrt()
    along = (first + second) / total
    line = area <= 1e-7 * total
    return (
        torch.where(line, first * along, scale * (b + area - d)),
        torch.where(line, second * along, scale * (a + area - d)),
    )


def dualproj(a: Tensor, b: Tensor, d: Tensor) -> Factors:
    """Sum, moved to the nearest point that opposes neither.

    Args:
        a: Squared norm of the first.
        b: Squared norm of the second.
        d: Their inner product.

    Example:
        >>> dualproj(torch.tensor(16.), torch.tensor(2.), torch.tensor(-4.))
        (tensor(1.), tensor(2.))

    Source: DualProj, as in Quinton and Rey (arXiv 2406.16232).
    """
    one = torch.ones_like(a)
    return (
        torch.where(a + d < 0, -d / a, one),
        torch.where(b + d < 0, -d / b, one),
    )


def cagrad(a: Tensor, b: Tensor, d: Tensor, radius: float) -> Factors:
    """Direction near the mean that helps the worse-off one most.

    Args:
        a: Squared norm of the first.
        b: Squared norm of the second.
        d: Their inner product.
        radius: How far from the mean, in units of its length, >= 0.

    Returns:
        Factors that sum to more than 1, as those of the mean are 1/2; zeros
        where the weighted sum vanishes, as for opposite gradients.

    Example:
        >>> cagrad(torch.tensor(1.), torch.tensor(2.), torch.tensor(-1.), .5)
        (tensor(0.7500), tensor(0.5000))

    Source: CAGrad, Liu et al., NeurIPS 2021 (arXiv 2110.14048), solved in
    closed form.
    """
    reach = radius * (a + b + 2 * d).clamp(min=0).sqrt() / 2
    weight = _cagrad_weight(a, b, d, reach)
    rest = 1 - weight
    norm = weight * weight * a + 2 * weight * rest * d + rest * rest * b
    norm = norm.clamp(min=0).sqrt()
    vanishes = norm <= _NOTHING * (a + b).sqrt()
    gain = reach / norm.masked_fill(vanishes, 1)
    return (
        torch.where(vanishes, torch.zeros_like(a), 0.5 + gain * weight),
        torch.where(vanishes, torch.zeros_like(a), 0.5 + gain * rest),
    )


def _cagrad_weight(a: Tensor, b: Tensor, d: Tensor, reach: Tensor) -> Tensor:
    """Weight of the first in CAGrad's weighted sum, in [0, 1]."""
    distance, half = a + b - 2 * d, (a - b) / 2
    room = reach.square() * distance - half.square()
    area = (a * b - d * d).clamp(min=0)
    shift = -half.sign() * _divide(half.square() * area, room, 0.0).sqrt()
    # Where half is 0 so is the shift, whether there is room or not.
    inside = _divide(shift + b - d, distance, 0.5).clamp(0, 1)
    edge = (half < 0).to(a.dtype)
    return torch.where((room > 0) | (half == 0), inside, edge)


def gradvac(a: Tensor, b: Tensor, d: Tensor, target: Tensor) -> Factors:
    """Each is moved towards the other until their cosine is ``target``.

    Args:
        a: Squared norm of the first.
        b: Squared norm of the second.
        d: Their inner product.
        target: Cosine; pairs that have it are left alone. 0 is PCGrad.

    Example:
        >>> gradvac(torch.tensor(1.), torch.tensor(2.), torch.tensor(-1.),
        ...     torch.tensor(.3))
        (tensor(2.3145), tensor(1.6572))

    Source: GradVac, Wang et al., ICLR 2021. [choice] 1 - target^2 is at least
    1e-6.
    """
    found = cosine(a, b, d)
    sine = (1 - target.square()).clamp(min=_NEARLY_ONE).sqrt()
    away = (1 - found.square()).clamp(min=0).sqrt()
    kappa = (target * away - found * sine) / sine
    kappa = torch.where(found >= target, torch.zeros_like(kappa), kappa)
    ratio = b.sqrt() / a.sqrt()
    return 1 + kappa * ratio, 1 + kappa / ratio


def cosine(a: Tensor, b: Tensor, d: Tensor) -> Tensor:
    """Cosine of the angle between the two, in [-1, 1].

    Args:
        a: Squared norm of the first.
        b: Squared norm of the second.
        d: Their inner product.

    Example:
        >>> cosine(torch.tensor(1.), torch.tensor(4.), torch.tensor(-2.))
        tensor(-1.)
    """
    # Rooted one by one: the product of the squares would underflow earlier.
    return (d / (a.sqrt() * b.sqrt())).clamp(-1, 1)


def _divide(value: Tensor, by: Tensor, otherwise: float) -> Tensor:
    """``value / by``, and a number where ``by`` is not above zero."""
    # Asked this way round, NaN is not among those that are let off.
    is_zero = by <= torch.finfo(by.dtype).tiny
    return torch.where(
        is_zero,
        torch.full_like(value, otherwise),
        value / by.masked_fill(is_zero, 1),
    )
