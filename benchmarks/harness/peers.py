"""The competitors: each is prepared once with the data, then called ``(x, sigma)``.

Every one gets the best version that its library offers on a processor: the norms of
the data are computed in advance, arrays are contiguous, and ``x`` comes in the kind
of array (``kind``) that the library works on.  A competitor whose library is absent
says so, and one that would need more memory than ``MOST`` for a call is not run.
"""

import contextlib
import importlib.util
import io
import sys
import warnings

import numpy as np

import empirical_score as es

MOST = 2**31
PEERS = {}


class Peer:
    """One way to compute the denoiser or the log density of a training set.

    ``exact`` says whether it computes the formula itself, ``tolerance`` how far
    float32 rounding may then carry it: relative to the spread of the data, or in nats.
    ``bound`` is the RMS error of a coordinate that a certified method promises.
    """

    needs = None
    kind = "torch"
    value = "denoise"
    exact = True
    tolerance = 1e-3
    bound = None
    dimension = 10**9
    pairs = 10**12

    def __init_subclass__(cls, name=None, label=None, **settings):
        super().__init_subclass__()
        if name is not None:
            cls.name, cls.label = name, label
            PEERS[name] = cls
        for key, setting in settings.items():
            setattr(cls, key, setting)

    @classmethod
    def missing(cls):
        """Return why it cannot run on this machine, or None."""
        if cls.needs and importlib.util.find_spec(cls.needs) is None:
            return "not installed"
        return None

    @classmethod
    def too_much(cls, n, d, m):
        """Return why it is not run at this size, or None."""
        if d > cls.dimension:
            return f"not run above {cls.dimension} coordinates"
        if m * n > cls.pairs:
            return f"not run above {cls.pairs:.0e} pairs of points"
        if cls.temporary(n, d, m) > MOST:
            return "would need more than 2 GiB a call"
        return None

    @classmethod
    def temporary(cls, n, d, m):
        """Return the bytes of its temporary arrays, where that matters."""
        return 0

    def adapt(self, x):
        """Return ``x``, a NumPy array, in the kind of array that it works on."""
        return _torch().from_numpy(x) if self.kind == "torch" else x


class Matrix(Peer):
    """Those that hold the whole matrix of log weights, ``(m, n)``, in float32."""

    @classmethod
    def temporary(cls, n, d, m):
        return 4 * m * n


class Ours(Peer, name="ours", label="ours, exact (torch arrays)"):
    """The book's engine: the average over all points, or to the tolerance ``bound``."""

    def __init__(self, data):
        self.score = es.EmpiricalScore(self.adapt(data), tolerance=self.bound)

    def __call__(self, x, sigma):
        return getattr(self.score, self.value)(x, sigma)


class OursNumPy(
    Ours, name="ours-numpy", label="ours, exact (NumPy arrays)", kind="numpy"
):
    pass


class Certified(
    Ours,
    name="ours-certified",
    label="ours, certified 1e-3 (torch arrays)",
    bound=1e-3,
):
    def __init__(self, data):
        super().__init__(data)
        self(self.adapt(data[:1]), 1.0)  # the index is made when it is first needed


class CertifiedNumPy(
    Certified,
    name="ours-certified-numpy",
    label="ours, certified 1e-3 (NumPy arrays)",
    kind="numpy",
):
    pass


class OursLog(
    Ours,
    name="ours-log",
    label="ours, log density",
    value="log_density",
    tolerance=1e-2,
):
    pass


class NumPyBroadcast(
    Peer,
    name="numpy-broadcast",
    label="NumPy, broadcast differences",
    kind="numpy",
):
    def __init__(self, data):
        self.y = data

    @classmethod
    def temporary(cls, n, d, m):
        return 4 * m * n * d

    def __call__(self, x, sigma):
        logits = ((x[:, None] - self.y) ** 2).sum(2) / np.float32(-2 * sigma**2)
        return _numpy_softmax(logits) @ self.y


class NumPyProducts(Matrix, name="numpy", label="NumPy, two products", kind="numpy"):
    def __init__(self, data):
        self.y, self.half = data, (data**2).sum(1) / 2

    def __call__(self, x, sigma):
        logits = x @ self.y.T
        logits -= self.half
        logits /= np.float32(sigma**2)
        return _numpy_softmax(logits) @ self.y


class TorchProducts(
    Matrix, name="torch", label="torch, two products + softmax", needs="torch"
):
    def __init__(self, data):
        self.y = self.adapt(data)
        self.half = (self.y**2).sum(1) / 2

    def __call__(self, x, sigma):
        logits = _torch().addmm(self.half, x, self.y.T, beta=-1).div_(sigma**2)
        return logits.softmax(1) @ self.y


class TorchCdist(
    Matrix, name="torch-cdist", label="torch.cdist + softmax", needs="torch"
):
    def __init__(self, data):
        self.y = self.adapt(data)

    def __call__(self, x, sigma):
        squares = _torch().cdist(x, self.y).square_()
        return squares.div_(-2 * sigma**2).softmax(1) @ self.y


class TorchAttention(
    Peer,
    name="torch-attention",
    label="torch scaled_dot_product_attention",
    needs="torch",
):
    """Softmax attention whose keys carry -|y|^2/2 in one more column.

    Data are centered, for accuracy; keys and values are one array, shapes are
    (1, 1, m, d + 1), there is no mask: torch runs its fused (flash) kernel.
    """

    def __init__(self, data):
        torch = _torch()
        y = self.adapt(data)
        self.center = y.mean(0)
        y = y - self.center
        half = (y**2).sum(1, keepdim=True) / 2
        self.keys = torch.cat([y, -half], 1)[None, None].contiguous()

    def __call__(self, x, sigma):
        torch = _torch()
        queries = torch.cat([x - self.center, torch.ones_like(x[:, :1])], 1)
        out = torch.nn.functional.scaled_dot_product_attention(
            queries[None, None], self.keys, self.keys, scale=float(sigma) ** -2
        )
        return out[0, 0, :, :-1] + self.center


class SmallDiffusion(
    Matrix,
    name="smalldiffusion",
    label="smalldiffusion IdealDenoiser",
    needs="smalldiffusion",
):
    """The class of that package as it is; it predicts the noise ``(x - D) / sigma``.

    Only its module of models is loaded: the rest needs packages for training.
    """

    def __init__(self, data):
        folder = importlib.util.find_spec(self.needs).submodule_search_locations[0]
        spec = importlib.util.spec_from_file_location(
            "smalldiffusion_model", f"{folder}/model.py"
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        self.model = module.IdealDenoiser(self.adapt(data))

    @classmethod
    def missing(cls):
        parts = cls.needs, "einops"
        absent = any(importlib.util.find_spec(part) is None for part in parts)
        return "not installed" if absent else None

    @classmethod
    def temporary(cls, n, d, m):
        return 3 * 4 * m * n

    def __call__(self, x, sigma):
        torch = _torch()
        with torch.no_grad():
            return x - sigma * self.model(x, torch.tensor(sigma, dtype=x.dtype))


class Jax(Matrix, name="jax", label="jax.jit, two products", needs="jax", kind="jax"):
    def __init__(self, data):
        import jax

        self.jax, y = jax, jax.numpy.asarray(data)

        @jax.jit
        def denoise(x, sigma, y, half):
            return jax.nn.softmax((x @ y.T - half) / sigma**2, axis=1) @ y

        self.arguments = y, (y**2).sum(1) / 2
        self.denoise = denoise

    def adapt(self, x):
        return self.jax.numpy.asarray(x)

    def __call__(self, x, sigma):
        out = self.denoise(x, np.float32(sigma), *self.arguments)
        return np.asarray(out.block_until_ready())


class KeOps(
    Peer,
    name="keops",
    label="KeOps (processor)",
    needs="pykeops",
    # Its own advice is for dimensions up to about 100; above, a call takes a minute.
    dimension=100,
):
    def __init__(self, data):
        with quietly():
            import pykeops

            pykeops.set_verbose(False)
            from pykeops.torch import LazyTensor
        self.lazy, self.y = LazyTensor, self.adapt(data)[None].contiguous()
        self(self.y[0, :2], 1.0)  # compiles; one row would be another formula

    def __call__(self, x, sigma):
        torch, lazy = _torch(), self.lazy
        factor = torch.tensor([-0.5 / float(sigma) ** 2])
        logits = ((lazy(x[:, None].contiguous()) - lazy(self.y)) ** 2).sum(-1)
        logits = logits * lazy(factor)
        return logits.sumsoftmaxweight(lazy(self.y), dim=1)


class Faiss(
    Peer,
    name="faiss",
    label="FAISS, 200 nearest",
    needs="faiss",
    kind="numpy",
    exact=False,
):
    def __init__(self, data):
        with quietly():
            import faiss
        self.y, self.index = data, faiss.IndexFlatL2(data.shape[1])
        self.index.add(data)

    @classmethod
    def temporary(cls, n, d, m):
        return 4 * m * 200 * d

    def __call__(self, x, sigma):
        squares, near = self.index.search(x, min(200, len(self.y)))
        weights = _numpy_softmax(squares / np.float32(-2 * sigma**2))
        return np.einsum("mk,mkd->md", weights, self.y[near], optimize=True)


class ScipyKde(
    Peer,
    name="scipy-kde",
    label="scipy gaussian_kde (log density)",
    needs="scipy",
    kind="numpy",
    value="log_density",
    tolerance=1e-2,
    pairs=3 * 10**8,  # beyond, a call takes a minute
):
    """That of scipy scales the kernel by the data's covariance; here it is round."""

    def __init__(self, data):
        from scipy.stats import gaussian_kde

        class Round(gaussian_kde):
            def _compute_covariance(self):
                self.factor = self.covariance_factor()
                self.cho_cov = self.factor * np.eye(self.d)
                self.covariance = self.cho_cov**2

        self.kde = Round(data.T, bw_method=1.0)

    def __call__(self, x, sigma):
        self.kde.set_bandwidth(float(sigma))
        return self.kde.logpdf(x.T)


class SklearnKde(
    Peer,
    name="sklearn-kde",
    label="scikit-learn KernelDensity (log density)",
    needs="sklearn",
    kind="numpy",
    value="log_density",
    tolerance=1e-2,
    pairs=3 * 10**8,
):
    def __init__(self, data):
        from sklearn.neighbors import KernelDensity

        self.kde = KernelDensity(kernel="gaussian").fit(data)

    def __call__(self, x, sigma):
        self.kde.bandwidth_ = float(sigma)
        return self.kde.score_samples(x)


@contextlib.contextmanager
def quietly():
    """Keep the greetings and warnings of an import to themselves."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _numpy_softmax(logits):
    logits -= logits.max(1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(1, keepdims=True)
    return logits


def _torch():
    import torch

    return torch
