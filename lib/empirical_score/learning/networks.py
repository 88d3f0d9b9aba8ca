"""Small neural networks that learn a denoiser, and the loop that trains them.

A :class:`Denoiser` is a score like every other, ``score(x, sigma)``; :func:`train`
changes one in place and yields a record a step, so that the caller decides when to
look, to draw and to stop.  torch is imported when a network is made, not before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._support.arrays import (
    array_namespace,
    as_count,
    as_number,
    as_points,
    as_positive_number,
    is_numpy_array,
    like,
)
from .._support.draws import as_generator, uniform
from .._support.show import described
from .._support.types import Array, Numbers, Points, Rng
from ..distributions.score import Score
from .rows import fixed_rows, fresh_rows, noise_levels, point_target

if TYPE_CHECKING:
    import torch

__all__ = ["Denoiser", "Record", "train"]

_POWERS = {"residual": 0, "noise": 1, "score": 2}
_ACTIVATIONS = {"relu": "ReLU", "silu": "SiLU", "tanh": "Tanh"}


class Record(NamedTuple):
    """One step of training: its number, and both parts of what it minimizes.

    Attributes
    ----------
    step : int
        From 1.
    loss, penalty : float

    Examples
    --------
    >>> import empirical_score as es
    >>> network = es.Denoiser(1, 0, hidden=(8,))
    >>> next(es.train(network, [[0.0]], 0.5, 1, steps=1)).step
    1
    """

    step: int
    loss: float
    penalty: float


class Denoiser(Score):
    """A fully connected network as denoiser and score, ``score(x, sigma)``.

    Parameters
    ----------
    dimension : int
        The number d of columns of ``x``.
    rng : numpy.random.Generator, torch.Generator or int seed
        Draws the first weights; a NumPy one draws the same on every device.
    hidden : sequence of int
        Widths of the hidden layers; ``(80,)`` is a two-layer network.
    activation : ``"relu"``, ``"silu"`` or ``"tanh"``
    form : ``"residual"``, ``"noise"``, ``"score"`` or ``"edm"``
        ``D = x + F(x, sigma)``, so that F is ``sigma^2`` times the score;
        ``D = x + sigma F`` or ``D = x + sigma^2 F``, so that F is minus the noise or
        the score itself; or, with s the ``scale`` of the data, ``v = sigma^2 + s^2``,
        ``D = s^2 x / v + (sigma s / sqrt(v)) F(x / sqrt(v), log(sigma) / 4)``.
    conditional : bool
        Whether F sees the noise level; a network for one level need not, and one
        trained blindly on many levels learns different fields in the first three
        forms.  (In ``"edm"`` its scaled input depends on the level all the same.)
    scale : number
        Standard deviation of a coordinate of the data; for ``"edm"`` only.
    module : torch.nn.Module, optional
        A network of your own in place of the layers, called with ``(m, d)`` and, if
        ``conditional``, with the noise input ``(m, 1)`` as a second argument.
    dtype, device : str
        float64 on the processor by default.

    Raises
    ------
    TypeError, ValueError
        For arguments of a wrong kind or size.

    Notes
    -----
    ``x`` is ``(m, d)``, ``sigma`` a positive number or ``(m,)``.  NumPy in gives NumPy
    out; gradients flow through torch arrays, to ``x`` and to the weights.  The forms
    are those of Chen (2026) and of Karras, Aittala, Aila & Laine (2022, Table 1); what
    each learns without the level is ``thm-blind-outputs`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> network = es.Denoiser(2, 0, hidden=(8,))
    >>> network
    Denoiser(dimension=2, form='residual', conditional=True, weights=50)
    >>> network(np.zeros((5, 2)), 1.0).shape
    (5, 2)
    """

    def __init__(
        self,
        dimension: int,
        rng: Rng,
        *,
        hidden: Sequence[int] = (64, 64),
        activation: str = "relu",
        form: str = "residual",
        conditional: bool = True,
        scale: float = 1.0,
        module: torch.nn.Module | None = None,
        dtype: str = "float64",
        device: str = "cpu",
    ) -> None:
        import torch

        _one_of(form, "form", (*_POWERS, "edm"))
        _one_of(activation, "activation", _ACTIVATIONS)
        _one_of(dtype, "dtype", ("float32", "float64"))
        self.dimension = as_count(dimension, "dimension")
        self.form, self.conditional = form, bool(conditional)
        self.scale = as_positive_number(scale, "scale")
        self._stacked = module is None
        if module is None:
            widths = [self.dimension + self.conditional]
            widths += [as_count(width, "hidden") for width in hidden]
            module = _layers(
                widths, self.dimension, _ACTIVATIONS[activation], as_generator(rng)
            )
        self.module = module.to(dtype=getattr(torch, dtype), device=device)
        self.reference = torch.zeros((), dtype=getattr(torch, dtype), device=device)

    def __repr__(self):
        weights = sum(part.numel() for part in self.module.parameters())
        return described(
            self,
            dimension=self.dimension,
            form=self.form,
            conditional=self.conditional,
            weights=weights,
        )

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights as NumPy arrays, ready for ``numpy.savez``.

        Returns
        -------
        dict of arrays
            By the names of the parameters.
        """
        weights = self.module.state_dict()
        return {name: value.cpu().numpy().copy() for name, value in weights.items()}

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> Denoiser:
        """Take the weights that :meth:`state` gave.

        Parameters
        ----------
        arrays : mapping of arrays
            By the names of the parameters.

        Returns
        -------
        Denoiser
            This one.

        Raises
        ------
        ValueError
            If they do not fit this network.
        """
        import torch

        given = {name: torch.as_tensor(np.array(arrays[name])) for name in arrays}
        try:
            self.module.load_state_dict(given)
        except RuntimeError as error:
            raise ValueError(f"arrays do not fit this network: {error}") from error
        return self

    def _shift(self, x, sigma):
        import torch

        if is_numpy_array(x):
            with torch.no_grad():
                inside = like(x, self.reference), like(sigma, self.reference)
                return like(self._shift(*inside), x)
        kind = x.dtype
        x, sigma = like(x, self.reference), like(sigma, self.reference)[:, None]
        if self.form in _POWERS:
            shift = sigma ** _POWERS[self.form] * self._network(x, sigma)
        else:
            variance = sigma**2 + self.scale**2
            output = self._network(x / variance.sqrt(), sigma.log() / 4)
            shift = sigma * self.scale / variance.sqrt() * output
            shift = shift - sigma**2 / variance * x
        return shift.to(kind)

    def _network(self, x, noise):
        if self._stacked and self.conditional:
            return self.module(array_namespace(x).concat([x, noise], axis=1))
        return self.module(x, noise) if self.conditional else self.module(x)

    def _loss_weight(self, sigma):
        """The weight of ``|D - target|^2``: that of the score, or Karras et al.'s."""
        if self.form in _POWERS:
            return sigma**-2
        return (sigma**2 + self.scale**2) / (sigma * self.scale) ** 2


def train(
    denoiser: Denoiser,
    data: Points,
    sigma: float | tuple[float, float] | Callable[..., Array],
    rng: Rng,
    *,
    steps: int,
    rate: float | Callable[[float], float] = 1e-3,
    batch: int | None = None,
    target: Any = None,
    noise: int | Points | None = None,
    noise_weights: Numbers | None = None,
    weight_decay: float = 0.0,
) -> Iterator[Record]:
    """Train a network in place by Adam, and yield a record a step.

    It minimizes the mean of ``weight(sigma) |D(x, sigma) - target|^2`` over noised
    points ``x = y + sigma z``, plus ``weight_decay / 2`` times the sum of the squares
    of all weights (of matrices: biases are free).  The weight is ``1 / sigma^2``, which
    is ``sigma^2 |score error|^2``, and that of Karras, Aittala, Aila & Laine (2022) for
    ``"edm"``.

    Parameters
    ----------
    denoiser : Denoiser
    data : array ``(n, d)``
        The training points.
    sigma : positive number, pair, or callable ``(count, rng)`` to ``(count,)``
        The noise level; for a pair ``(low, high)`` its logarithm is uniform between.
    rng : numpy.random.Generator, torch.Generator or int seed
        The only source of randomness.
    steps : int
    rate : positive number or callable
        Adam's step size; a function gets the fraction of the steps done, in [0, 1).
    batch : int, optional
        Rows a step, drawn with replacement; by default all, in order.
    target : NeighborTarget or score, optional
        The target is ``target.target(x, sigma, index)``, where ``index`` tells the
        clean points' rows in data, or, of a score, ``target.denoise(x, sigma)``;
        without it the clean point y.
    noise : int or array ``(k, d)``, optional
        By default z is drawn anew at every step.  An int draws z (and sigma) that
        often for every data point, once and for all; an array gives every data point
        these k noises: with ``noise_weights``, a quadrature rule.
    noise_weights : array ``(k,)``, optional
    weight_decay : number, at least 0

    Returns
    -------
    iterator of Record
        The training goes on as it is asked for the next one.

    Raises
    ------
    TypeError, ValueError
        At once, for arguments of a wrong kind, shape or size.
    FloatingPointError
        When the loss is no longer finite.

    Notes
    -----
    Without ``target``: denoising score matching (Vincent 2011; ``thm-dsm``).  With one:
    ``thm-target-mean``.

    Examples
    --------
    >>> import empirical_score as es
    >>> network = es.Denoiser(1, 0, hidden=(8,))
    >>> data, noise = [[-1.0], [1.0]], [[-1.0], [1.0]]
    >>> run = es.train(network, data, 0.5, 1, steps=100, rate=0.01, noise=noise)
    >>> records = list(run)
    >>> len(records), records[-1].loss < records[0].loss
    (100, True)
    """
    if not isinstance(denoiser, Denoiser):
        raise TypeError(f"denoiser must be a Denoiser, got {type(denoiser).__name__}")
    if not (target is None or hasattr(target, "denoise") or point_target(target)):
        raise TypeError(f"target must have denoise(x, sigma), got {target!r}")
    data = like(as_points(data, "data", denoiser.dimension), denoiser.reference)
    if point_target(target) and hasattr(target, "data"):
        _same_points(like(target.data, data), data)
    rng = as_generator(rng)
    steps, decay = as_count(steps, "steps"), as_number(weight_decay, "weight_decay")
    if not 0 <= decay < math.inf:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay}")
    step_size = rate if callable(rate) else as_positive_number(rate, "rate")
    level = noise_levels(sigma, rng, data)
    if noise is None:
        if noise_weights is not None:
            raise ValueError("noise_weights need noise, an array (k, d)")
        rows = fresh_rows(data, level, rng, batch, target)
    else:
        rows = fixed_rows(data, level, rng, batch, target, noise, noise_weights)
    return _steps(denoiser, rows, steps, step_size, decay)


def _steps(denoiser, rows, steps, rate, decay):
    import torch

    parameters = list(denoiser.module.parameters())
    matrices = [p for p in parameters if p.ndim > 1] if decay else []
    optimizer = torch.optim.Adam(parameters, lr=1.0, fused=True)
    for step in range(1, steps + 1):
        x, sigma, wanted, weight = rows()
        error = x + denoiser._shift(x, sigma) - wanted
        loss = (weight * denoiser._loss_weight(sigma)) @ error.square().sum(dim=1)
        penalty = decay / 2 * sum((p.square().sum() for p in matrices), 0 * loss)
        record = Record(step, loss.item(), penalty.item())
        if not math.isfinite(record.loss):
            raise FloatingPointError(f"the loss is {record.loss} at step {step}")
        optimizer.zero_grad()
        (loss + penalty).backward()
        now = rate((step - 1) / steps) if callable(rate) else rate
        optimizer.param_groups[0]["lr"] = float(now)
        optimizer.step()
        yield record


def _same_points(known, data):
    if known.shape != data.shape or not bool((known == data).all()):
        raise ValueError(
            "target must be made from the data it is trained with, got data of shape "
            f"{tuple(known.shape)} for {tuple(data.shape)}, or other points"
        )


def _one_of(value, name, known):
    if value not in known:
        names = ", ".join(map(repr, known))
        raise ValueError(f"{name} must be one of {names}, got {value!r}")


def _layers(widths, outputs, activation, rng):
    """Linear layers, uniform in ``+-1/sqrt(inputs)`` as torch's are, drawn from rng."""
    import torch

    layers = []
    for inputs, width in zip(widths, [*widths[1:], outputs], strict=True):
        linear = torch.nn.utils.skip_init(
            torch.nn.Linear, inputs, width, dtype=torch.float64
        )
        with torch.no_grad():
            for part in linear.parameters():
                draw = uniform(rng, tuple(part.shape), part.detach())
                part.copy_((2 * draw - 1) / math.sqrt(inputs))
        layers += [linear, getattr(torch.nn, activation)()]
    return torch.nn.Sequential(*layers[:-1])
