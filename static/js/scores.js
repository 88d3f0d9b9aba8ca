/* What the labs compute: the book's formulas once more, for a browser.

   No drawing and nothing of the page: the same file runs in Node, where the tests
   compare it with the Python library on the same inputs.  Points are flat arrays of
   n d numbers, row after row; everything is computed in the log domain. */
(function (root, make) {
  "use strict";
  if (typeof module === "object" && module.exports) module.exports = make();
  else root.Scores = make();
})(typeof self === "undefined" ? globalThis : self, function () {
  "use strict";

  /* ---- Softmax weights over the training points ---------------------------------- */

  /** The logarithm of a kernel as a function of the squared distance. */
  const gaussian = (sigma) => {
    const scale = -0.5 / (sigma * sigma);
    return (square) => scale * square;
  };
  const coulomb = (power) => (square) => -0.5 * power * Math.log(square);

  /** Fill `out` with the weights at x; return the log of the sum of the kernels. */
  function weights(points, d, x, kernel, out) {
    const n = points.length / d;
    let top = -Infinity;
    for (let j = 0, i = 0; j < n; j++) {
      let square = 0;
      for (let k = 0; k < d; k++, i++) square += (x[k] - points[i]) ** 2;
      out[j] = kernel(square);
      if (out[j] > top) top = out[j];
    }
    let sum = 0;
    for (let j = 0; j < n; j++) {
      // On a pole of the kernel the point itself has all of the weight.
      out[j] = out[j] === top ? 1 : Math.exp(out[j] - top);
      sum += out[j];
    }
    for (let j = 0; j < n; j++) out[j] /= sum;
    return top + Math.log(sum);
  }

  /** The weighted mean of the points: the denoiser. */
  function mean(points, d, w, out) {
    out.fill(0);
    for (let j = 0, i = 0; j < w.length; j++)
      for (let k = 0; k < d; k++, i++) out[k] += w[j] * points[i];
    return out;
  }

  /** A function x -> denoised x, for kernels that may change with the noise level. */
  function denoiser(points, d, kernelAt) {
    const w = new Float64Array(points.length / d);
    return (x, sigma, out) => {
      weights(points, d, x, kernelAt(sigma), w);
      return mean(points, d, w, out);
    };
  }

  function score(points, d, x, sigma) {
    const out = denoiser(points, d, gaussian)(x, sigma, new Float64Array(d));
    return out.map((value, k) => (value - x[k]) / (sigma * sigma));
  }

  function logDensity(points, d, x, sigma) {
    const n = points.length / d;
    const sum = weights(points, d, x, gaussian(sigma), new Float64Array(n));
    return sum - Math.log(n) - d * (Math.log(sigma) + 0.5 * Math.log(2 * Math.PI));
  }

  function effectivePoints(w) {
    let entropy = 0;
    for (const value of w) if (value > 0) entropy -= value * Math.log(value);
    return Math.exp(entropy);
  }

  /** The noise level that tempered weights amount to: sqrt(T) sigma. */
  function effectiveLevel(sigma, { temperature = 1, level = 0, exponent = 0 }) {
    const rise = level > 0 ? Math.max(level / sigma, 1) ** exponent : 1;
    return Math.sqrt(temperature * rise) * sigma;
  }

  /* ---- Samplers ------------------------------------------------------------------ */

  function geometricLevels(count, high, low) {
    const step = Math.log(low / high) / (count - 1);
    return Float64Array.from({ length: count }, (_, k) => high * Math.exp(step * k));
  }

  /** One step of Heun's method for dx/dsigma = (x - D) / sigma, in place. */
  function heunStep(denoise, x, from, to, work) {
    const d = x.length;
    const { guess, first, second } = work;
    denoise(x, from, first);
    for (let k = 0; k < d; k++) {
      first[k] = (x[k] - first[k]) / from;
      guess[k] = x[k] + (to - from) * first[k];
    }
    if (to > 0) {
      denoise(guess, to, second);
      for (let k = 0; k < d; k++)
        x[k] += ((to - from) * (first[k] + (guess[k] - second[k]) / to)) / 2;
    } else x.set(guess);
    return x;
  }

  /** One ancestral step: the posterior of a single point, put at D. `z`: normals. */
  function ancestralStep(denoise, x, from, to, work, z) {
    const ratio = (to / from) ** 2;
    const noise = to * Math.sqrt(1 - ratio);
    denoise(x, from, work.first);
    for (let k = 0; k < x.length; k++)
      x[k] = work.first[k] + ratio * (x[k] - work.first[k]) + noise * z[k];
    return x;
  }

  const workspace = (d) => ({
    guess: new Float64Array(d),
    first: new Float64Array(d),
    second: new Float64Array(d),
  });

  /** Standard normals from a seed (mulberry32, Box and Muller). */
  function normals(seed) {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const next = () =>
      Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    next.uniform = uniform;
    return next;
  }

  /* ---- The normal law ------------------------------------------------------------ */

  const normalPdf = (z) => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);

  function normalCdf(z) {
    const a = Math.abs(z);
    let tail;
    if (a < 4) {
      // Phi(a) - 1/2 = phi(a) sum_k a^(2k+1) / (1 3 5 .. (2k+1)): no term is negative.
      let term = a;
      let sum = a;
      for (let k = 1; term > 1e-17 * sum; k++) sum += term *= (a * a) / (2 * k + 1);
      tail = 0.5 - normalPdf(a) * sum;
    } else {
      // The continued fraction of Laplace.
      let rest = a;
      for (let k = 60; k > 0; k--) rest = a + k / rest;
      tail = normalPdf(a) / rest;
    }
    return z > 0 ? 1 - tail : tail;
  }

  /* ---- The ramp on a line -------------------------------------------------------- */

  /** Where x lies among sorted points: its gap, and whether it is on a ramp. */
  function locate(points, kappa, x, sigma) {
    const last = points.length - 1;
    if (last === 0 || x <= points[0]) return { ramp: false, near: points[0] };
    if (x >= points[last]) return { ramp: false, near: points[last] };
    let j = 0;
    while (points[j + 1] < x) j++;
    const half = (points[j + 1] - points[j]) / 2;
    const middle = points[j] + half;
    const room = half - kappa * sigma;
    const near = x > middle ? points[j + 1] : x < middle ? points[j] : middle;
    return { ramp: Math.abs(x - middle) < room, near, middle, half, room };
  }

  function rampDenoise(points, kappa, x, sigma) {
    const at = locate(points, kappa, x, sigma);
    return at.ramp ? at.middle + ((x - at.middle) * at.half) / at.room : at.near;
  }

  function rampFlow(points, kappa, x, sigma, end) {
    const at = locate(points, kappa, x, sigma);
    if (!at.ramp) return at.near + ((x - at.near) * end) / sigma;
    return at.middle + ((x - at.middle) * (at.half - kappa * end)) / at.room;
  }

  /** Atoms and density where the ramp's flow from the noised points ends. */
  function terminalLaw(points, kappa, sigma) {
    const n = points.length;
    const cdf = (x) => {
      let sum = 0;
      for (const y of points) sum += normalCdf((x - y) / sigma);
      return sum / n;
    };
    const pdf = (x) => {
      let sum = 0;
      for (const y of points) sum += normalPdf((x - y) / sigma);
      return sum / (n * sigma);
    };
    const low = [];
    const high = [0];
    const gaps = [];
    for (let j = 0; j + 1 < n; j++) {
      const half = (points[j + 1] - points[j]) / 2;
      const scale = half > 0 ? Math.max(0, 1 - (kappa * sigma) / half) : 0;
      gaps.push({ middle: points[j] + half, half, scale });
      low.push(cdf(points[j] + half - scale * half));
      high.push(cdf(points[j] + half + scale * half));
    }
    low.push(1);
    const atoms = low.map((value, j) => value - high[j]);
    const density = (x) => {
      const gap = gaps.find((g) => Math.abs(x - g.middle) < g.half);
      return gap ? gap.scale * pdf(gap.middle + gap.scale * (x - gap.middle)) : 0;
    };
    return { atoms, density, memorized: atoms.reduce((a, b) => a + b, 0) };
  }

  /* ---- The linear model ---------------------------------------------------------- */

  const populationKl = (nu) => 0.5 * (Math.log1p(nu) - nu / (1 + nu));

  /** Expected KL on the span of n < d points, over d. */
  function spanKl(n, d, nu) {
    if (n >= d) return Infinity;
    const rho2 = 1 / (1 + nu);
    const trace = (n - 1) * (rho2 + ((1 - rho2) * d) / (d - n));
    const shape = ((1 - rho2) * n * (n - 1)) / (d - n);
    return (shape + (n - 1 + (1 - rho2) * trace) / n) / (2 * d);
  }

  function logDetLimit(gamma, nu) {
    if (gamma >= 1 + nu) return -Math.log1p(nu);
    const rest = gamma - 1;
    const first = rest > 0 ? rest * Math.log((rest * (1 + nu)) / nu) : 0;
    return first - gamma * Math.log(gamma);
  }

  /** Expected KL over d for n >= d + 3, with the limit of the log determinant. */
  function linearKl(n, d, nu) {
    if (n < d + 3) return Infinity;
    const rho2 = 1 / (1 + nu);
    const trace = rho2 + ((1 - rho2) * d) / (n - d - 2);
    const average = (1 + (1 - rho2) * trace) / n;
    return 0.5 * (trace + average - 1 - logDetLimit((n - 1) / d, nu));
  }

  /** What a noised Gaussian point tells of its origin, in nats. */
  const information = (d, nu) => 0.5 * d * Math.log1p(1 / nu);

  /* ---- The audit's test ----------------------------------------------------------- */

  const factorials = [0];
  /** log n! of a whole number. */
  function logFactorial(n) {
    for (let k = factorials.length; k <= n; k++)
      factorials.push(factorials[k - 1] + Math.log(k));
    return factorials[n];
  }

  const logChoose = (n, k) =>
    k < 0 || k > n ? -Infinity : logFactorial(n) - logFactorial(k) - logFactorial(n - k);

  /** Chance of at least `found` generated ones among all below: Fisher's p-value. */
  function fisher(found, m, reference, h) {
    const total = found + reference;
    const all = logChoose(m + h, total);
    let sum = 0;
    for (let c = found; c <= Math.min(total, m); c++) {
      const term = Math.exp(logChoose(m, c) + logChoose(h, total - c) - all);
      sum += term;
      if (c > (total * m) / (m + h) && term < 1e-17 * sum) break;
    }
    return Math.min(1, sum);
  }

  /** The smallest significant count beside `reference`, from `start` on; m + 1 if none. */
  function significantCount(m, h, reference, level = 0.01, start = 0) {
    let [low, step] = [start - 1, 1]; // too few, and how far to look for enough
    let high = start;
    while (high <= m && fisher(high, m, reference, h) > level) {
      low = high;
      high = Math.min(m + 1, high + step);
      step *= 2;
    }
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (fisher(middle, m, reference, h) > level) low = middle;
      else high = middle;
    }
    return high;
  }

  function binomial(n, k, p) {
    if (p <= 0 || p >= 1) return k === (p <= 0 ? 0 : n) ? 1 : 0;
    return Math.exp(logChoose(n, k) + k * Math.log(p) + (n - k) * Math.log1p(-p));
  }

  /** Chance that a binomial count is at least k. */
  function binomialTail(n, k, p) {
    if (k <= 0) return 1;
    if (k <= n * p) {
      let below = 0;
      for (let c = k - 1; c >= 0; c--) {
        const term = binomial(n, c, p);
        below += term;
        if (term < 1e-17) break;
      }
      return Math.max(0, 1 - below);
    }
    let sum = 0;
    for (let c = k; c <= n; c++) {
      const term = binomial(n, c, p);
      sum += term;
      if (term <= 1e-17 * sum) break;
    }
    return Math.min(1, sum);
  }

  /** Counts that held-out data may show, with their chances and what is significant. */
  function references(m, h, base, level = 0.01) {
    const spread = 6 * Math.sqrt(h * base * (1 - base)) + (base > 0 ? 6 : 0);
    const first = Math.max(0, Math.floor(h * base - spread));
    const last = Math.min(h, Math.ceil(h * base + spread));
    const list = [];
    let needed = 0;
    for (let b = first; b <= last; b++) {
      needed = significantCount(m, h, b, level, needed);
      list.push({ chance: binomial(h, b, base), needed });
    }
    return list;
  }

  /** How often a rate of copies is found: the power of the audit's test. */
  function auditPower(m, base, rate, list) {
    const share = rate + (1 - rate) * base;
    let known = list[list.length - 1].needed;
    let tail = binomialTail(m, known, share);
    let sum = 0;
    for (let k = list.length - 1; k >= 0; k--) {
      while (known > list[k].needed) tail += binomial(m, --known, share);
      sum += list[k].chance * tail;
    }
    return Math.min(1, sum);
  }

  /** The ends of an exact interval that errs by `miss` at each (Clopper and Pearson). */
  function exactInterval(count, total, miss) {
    const solve = (f) => {
      let [low, high] = [0, 1];
      for (let k = 0; k < 40; k++) {
        const middle = (low + high) / 2;
        if (f(middle)) low = middle;
        else high = middle;
      }
      return (low + high) / 2;
    };
    const low = count === 0 ? 0 : solve((p) => binomialTail(total, count, p) < miss);
    const high =
      count === total ? 1 : solve((p) => 1 - binomialTail(total, count + 1, p) > miss);
    return [low, high];
  }

  /** The rate of copies and its interval, held-out false alarms taken off. */
  function copyRate(found, m, reference, h, confidence = 0.95) {
    const miss = (1 - confidence) / 4;
    const p = exactInterval(found, m, miss);
    const q = exactInterval(reference, h, miss);
    const rate = (a, b) => (b >= 1 ? 1 : Math.max(0, (a - b) / (1 - b)));
    return {
      value: rate(found / m, reference / h),
      low: q[1] < 1 ? rate(p[0], q[1]) : 0,
      high: rate(p[1], q[0]),
    };
  }

  return {
    ancestralStep,
    auditPower,
    binomialTail,
    copyRate,
    coulomb,
    denoiser,
    effectiveLevel,
    effectivePoints,
    fisher,
    gaussian,
    geometricLevels,
    heunStep,
    information,
    linearKl,
    logDensity,
    logDetLimit,
    mean,
    normalCdf,
    normalPdf,
    normals,
    populationKl,
    rampDenoise,
    rampFlow,
    references,
    score,
    significantCount,
    spanKl,
    terminalLaw,
    weights,
    workspace,
  };
});
