/* Lab: temperature and unconditioning in the plane, with what they cost. */
(function () {
  "use strict";
  const S = window.Scores;
  const { define, digits, inPlane, plane } = window.Labs;
  const PATHS = 240;

  const ring = (u) => [Math.cos(2 * Math.PI * u), Math.sin(2 * Math.PI * u)];
  const moons = (u) => {
    const turn = Math.PI * ((2 * u) % 1);
    const moon = [Math.cos(turn), Math.sin(turn)];
    return u < 0.5 ? [moon[0] - 0.5, moon[1] - 0.25] : [0.5 - moon[0], 0.25 - moon[1]];
  };
  const SHAPES = { circle: ring, moons };

  /** Training points of a shape: evenly spaced, or drawn from a fixed seed. */
  function training({ shape, n, spacing }) {
    const draw = S.normals(7).uniform;
    return Array.from({ length: n }, (_, k) =>
      SHAPES[shape](spacing === "even" ? (k + 0.25) / n : draw()),
    );
  }

  function nearest(list, x) {
    let best = Infinity;
    for (const p of list) best = Math.min(best, Math.hypot(p[0] - x[0], p[1] - x[1]));
    return best;
  }

  /** Where one path ends: tempered flow, or steps of the unconditional denoiser. */
  function sampler(flat, values) {
    const { method, temperature, exponent, level, power } = values;
    const work = S.workspace(2);
    if (method === "unconditional") {
      const denoise = S.denoiser(flat, 2, () => S.coulomb(power / temperature));
      return (x) => {
        for (let k = 0; k < 80; k++) {
          denoise(x, 1, work.first);
          for (let i = 0; i < 2; i++) x[i] += 0.2 * (work.first[i] - x[i]);
        }
      };
    }
    const tempered = { temperature, level, exponent };
    const denoise = S.denoiser(flat, 2, (sigma) =>
      S.gaussian(S.effectiveLevel(sigma, tempered)),
    );
    // Down to where the noise that is left is small against what counts as a copy.
    const levels = S.geometricLevels(50, 3, 0.0005);
    return (x) => {
      for (let k = 0; k + 1 < 50; k++) S.heunStep(denoise, x, levels[k], levels[k + 1], work);
    };
  }

  function* draw(lab, context) {
    const { values } = lab;
    const points = training(values);
    const flat = Float64Array.from(points.flat());
    const curve = Array.from({ length: 400 }, (_, k) => SHAPES[values.shape]((k + 0.5) / 400));
    const spacings = points
      .map((p, j) => nearest(points.filter((_, i) => i !== j), p))
      .sort((a, b) => a - b);
    const radius = 0.1 * spacings[Math.floor(points.length / 2)];
    const noise = S.normals(values.seed);
    const run = sampler(flat, values);

    for (const [x, y] of curve) lab.dot(lab.x(x), lab.y(y), 1.2, lab.color("hairline"));
    for (const [x, y] of points)
      lab.dot(lab.x(x), lab.y(y), 4.5, lab.color("paper"), lab.color("ink"));
    lab.say("Sampling.");
    const ends = [];
    let [copies, far] = [0, 0];
    for (let path = 0; path < PATHS; path++) {
      const pick = Math.floor(noise.uniform() * points.length);
      const x = Float64Array.of(
        flat[2 * pick] + 3 * noise(),
        flat[2 * pick + 1] + 3 * noise(),
      );
      run(x);
      const copied = nearest(points, x) < radius;
      copies += copied;
      far += nearest(curve, x) / PATHS;
      ends.push([x[0], x[1]]);
      lab.dot(lab.x(x[0]), lab.y(x[1]), 2.4, lab.color(copied ? "blue" : "amber"));
      if (path % 6 === 5) yield;
    }
    const fresh = curve.filter((p) => nearest(points, p) < radius).length / curve.length;
    const covered = curve.filter((p) => nearest(ends, p) < 0.1).length / curve.length;
    const share = copies / PATHS;
    Object.assign(lab.root.dataset, { share, far, covered });
    context.globalAlpha = 1;
    lab.say(
      `Copies: ${Math.round(100 * share)} percent (fresh points of the curve: ` +
        `${Math.round(100 * fresh)}). Distance to the curve: ${digits(far)} on average. ` +
        `Covered: ${Math.round(100 * covered)} percent of it.`,
    );
  }

  define("smoothing", {
    title: "Temperature and unconditioning",
    label: "Samples of a smoothed score around a curve, copies in another color",
    help:
      "The training points are the open circles, samples are blue where they copy one and orange elsewhere. " +
      "Temperature T = T₀ max(σc/σ, 1)^g. Without the noise level the weights are powers of the distance, as if the data " +
      "lay in power + 2 dimensions.",
    aspect: 0.64,
    window: plane(2.4),
    again: true,
    controls: [
      {
        key: "shape",
        label: "Curve",
        value: "circle",
        options: [
          ["circle", "circle"],
          ["moons", "two moons"],
        ],
      },
      {
        key: "spacing",
        label: "Points",
        value: "random",
        options: [
          ["even", "evenly spaced"],
          ["random", "random"],
        ],
      },
      { key: "n", label: "Number of points", min: 4, max: 80, step: 1, value: 24 },
      {
        key: "method",
        label: "Smoothing",
        value: "temperature",
        options: [
          ["temperature", "temperature"],
          ["unconditional", "no noise level"],
        ],
      },
      { key: "temperature", label: "Temperature T₀", min: 1, max: 4096, log: true, value: 1 },
      { key: "exponent", label: "Exponent g", min: 0, max: 3, step: 0.25, value: 2 },
      { key: "level", label: "Level σc", min: 0.02, max: 3, log: true, value: 0.2 },
      { key: "power", label: "Power (no noise level)", min: 1, max: 60, step: 1, value: 6 },
    ],
    points: { ...inPlane, drag: false, start: () => [] },
    draw,
  });
})();
