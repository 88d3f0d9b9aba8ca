/* Lab: two smoothings of one training set side by side, with what they cost. */
(function () {
  "use strict";
  const S = window.Scores;
  const { define, digits, inPlane } = window.Labs;
  const PATHS = 240;
  const NAMES = ["A", "B"];
  const HEAD = 24; // pixels above the pictures, for what they show

  const ring = (u) => [Math.cos(2 * Math.PI * u), Math.sin(2 * Math.PI * u)];
  const moons = (u) => {
    const turn = Math.PI * ((2 * u) % 1);
    const moon = [Math.cos(turn), Math.sin(turn)];
    return u < 0.5 ? [moon[0] - 0.5, moon[1] - 0.25] : [0.5 - moon[0], 0.25 - moon[1]];
  };
  const SHAPES = { circle: ring, moons };

  /** The distance to a half circle of radius 1, above (1) or below (-1) its center. */
  const toArc = ([x, y], [cx, cy], side) => {
    const [across, up] = [x - cx, side * (y - cy)];
    return up > 0 ? Math.abs(Math.hypot(across, up) - 1) : Math.hypot(Math.abs(across) - 1, up);
  };
  const DISTANCE = {
    circle: (p) => Math.abs(Math.hypot(...p) - 1),
    moons: (p) => Math.min(toArc(p, [-0.5, -0.25], 1), toArc(p, [0.5, 0.25], -1)),
  };
  const REACH = { circle: 1.25, moons: 1.75 }; // from the middle of a picture to its edge

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

  /** A setting in a few words. */
  function words({ method, temperature, exponent, level, power }) {
    const heat = `T₀ ${digits(temperature)}`;
    if (method === "unconditional") return `no noise level, power ${power}, ${heat}`;
    if (exponent > 0) return `${heat}, g ${exponent}, σc ${digits(level)}`;
    return temperature === 1 ? "exact score" : `${heat} at all levels`;
  }

  /** From a point to the pixels of picture 0 or 1: both have the same scale. */
  function frame(lab, side) {
    const half = lab.width / 2;
    const room = Math.min(half, lab.height - HEAD) / 2;
    const scale = (room - 4) / REACH[lab.values.shape];
    const middle = HEAD + (lab.height - HEAD) / 2;
    return ([x, y]) => [half * (side + 0.5) + scale * x, middle - scale * y];
  }

  /** What both pictures show before there are samples. */
  function ground(lab, side, points, curve) {
    const at = frame(lab, side);
    const chosen = lab.values.setting === NAMES[side];
    lab.context.font = chosen ? "bold 13px system-ui, sans-serif" : "13px system-ui, sans-serif";
    const name = `${NAMES[side]}: ${short(lab.setting(side))}`;
    lab.text(name, (lab.width / 2) * side + 8, 17, lab.color(chosen ? "ink" : "quiet"));
    for (const p of curve) lab.dot(...at(p), 1.2, lab.color("hairline"));
    const size = lab.width < 520 ? 3 : 4.5;
    for (const p of points) lab.dot(...at(p), size, lab.color("paper"), lab.color("ink"));
  }

  const short = (values) =>
    values.method === "unconditional" ? "no noise level" : plain(values) ? "exact score" : "temperature";
  const plain = ({ temperature, exponent }) => temperature === 1 && exponent === 0;

  function* draw(lab, context) {
    const points = training(lab.values);
    const flat = Float64Array.from(points.flat());
    const shape = SHAPES[lab.values.shape];
    const curve = Array.from({ length: 400 }, (_, k) => shape((k + 0.5) / 400));
    const spacings = points
      .map((p, j) => nearest(points.filter((_, i) => i !== j), p))
      .sort((a, b) => a - b);
    const radius = 0.1 * spacings[Math.floor(points.length / 2)];
    const noise = S.normals(lab.values.seed);
    const starts = Array.from({ length: PATHS }, () => {
      const pick = Math.floor(noise.uniform() * points.length);
      return [flat[2 * pick] + 3 * noise(), flat[2 * pick + 1] + 3 * noise()];
    });
    const sides = NAMES.map((_, side) => {
      ground(lab, side, points, curve);
      return { run: sampler(flat, lab.setting(side)), ends: [], copies: 0, far: [] };
    });
    lab.line([[lab.width / 2, 0], [lab.width / 2, lab.height]], lab.color("hairline"));
    lab.say("Sampling.");
    const size = lab.width < 520 ? 1.8 : 2.4;
    for (let path = 0; path < PATHS; path++) {
      for (const [side, { run, ends, far }] of sides.entries()) {
        const x = Float64Array.from(starts[path]);
        run(x);
        const copied = nearest(points, x) < radius;
        sides[side].copies += copied;
        far.push(DISTANCE[lab.values.shape](x));
        ends.push([x[0], x[1]]);
        lab.dot(...frame(lab, side)(x), size, lab.color(copied ? "blue" : "amber"));
      }
      if (path % 3 === 2) yield;
    }
    const fresh = curve.filter((p) => nearest(points, p) < radius).length / curve.length;
    report(lab, sides.map((side) => measured(side, curve)), fresh);
  }

  /** Shares, the mean distance and its standard error, from the ends of the samples. */
  function measured({ ends, copies, far }, curve) {
    const mean = far.reduce((a, b) => a + b, 0) / PATHS;
    const square = far.reduce((sum, v) => sum + (v - mean) ** 2, 0);
    const covered = curve.filter((p) => nearest(ends, p) < 0.1).length / curve.length;
    const error = Math.sqrt(square / PATHS / (PATHS - 1));
    return { share: copies / PATHS, far: mean, error, covered };
  }

  const round = (share) => Math.round(100 * share);
  const percent = (share) => `${round(share)} percent`;

  /** Which of two is less, where they differ by more than two standard errors. */
  const less = (a, b, error, than) =>
    Math.abs(a - b) <= 2 * error ? "no difference seen" : `${a < b ? "A" : "B"} ${than}`;

  function report(lab, [a, b], fresh) {
    const settings = NAMES.map((_, side) => lab.setting(side));
    const { share, far, covered } = a;
    const second = { share2: b.share, far2: b.far, covered2: b.covered };
    Object.assign(lab.root.dataset, { share, far, covered }, second);
    lab.tabulate(
      ["Setting", "Copies", "Distance", "Covered"],
      [
        ...[a, b].map((side, k) => [
          `${NAMES[k]}: ${words(settings[k])}`,
          `${round(side.share)} %`,
          digits(side.far),
          `${round(side.covered)} %`,
        ]),
        ["Fresh points", `${round(fresh)} %`, "0", "100 %"],
      ],
    );
    const spread = (p) => (p * (1 - p)) / PATHS;
    const shares = Math.sqrt(spread(a.share) + spread(b.share));
    lab.say(
      `Copies: A ${percent(a.share)}, B ${percent(b.share)}; ` +
        `${less(a.share, b.share, shares, "makes fewer")}. Distance to the curve: ` +
        `${less(a.far, b.far, Math.hypot(a.error, b.error), "stays nearer")}.`,
    );
  }

  const noLevel = "No effect: without a noise level there is nothing to depend on it.";
  define("smoothing", {
    title: "Temperature and unconditioning",
    label: "Samples of two smoothed scores around a curve, copies in another color",
    table:
      `${PATHS} samples each. A copy is nearer to a training point than a tenth of the median ` +
      "spacing; distance is that to the curve, on average.",
    help:
      "Two settings side by side: choose A or B, or tap its picture, and change it. Curve, points and starting noise are the same for both. " +
      "The training points are the open circles, samples are blue where they copy one and orange elsewhere. " +
      "Covered is what has a sample within 0.1. A difference is named if it exceeds two standard errors. " +
      "Temperature T = T₀ max(σc/σ, 1)^g. Without the noise level the weights are powers of the distance, as if the data " +
      "lay in power + 2 dimensions.",
    aspect: 0.55,
    window: () => ({ left: -1, right: 1, top: 1, bottom: -1 }),
    again: true,
    settings: NAMES,
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
        key: "setting",
        label: "Setting to change",
        value: "A",
        choose: true,
        options: NAMES.map((name) => [name, name]),
      },
      {
        key: "method",
        label: "Smoothing",
        value: "temperature",
        each: "temperature",
        options: [
          ["temperature", "temperature"],
          ["unconditional", "no noise level"],
        ],
      },
      { key: "temperature", label: "Temperature T₀", min: 1, max: 4096, log: true, value: 1, each: 1 },
      {
        key: "exponent",
        label: "Exponent g",
        min: 0,
        max: 3,
        step: 0.25,
        value: 2,
        each: 0,
        idle: ({ method }) => method === "unconditional" && noLevel,
      },
      {
        key: "level",
        label: "Level σc",
        min: 0.02,
        max: 3,
        log: true,
        value: 0.2,
        each: 0.2,
        idle: ({ method, exponent }) =>
          method === "unconditional"
            ? noLevel
            : exponent === 0 && "No effect: with exponent 0 the temperature is T₀ at all levels.",
      },
      {
        key: "power",
        label: "Power (no noise level)",
        min: 1,
        max: 60,
        step: 1,
        value: 6,
        each: 6,
        idle: ({ method }) =>
          method === "temperature" && "No effect: it belongs to the smoothing without a noise level.",
      },
    ],
    points: { ...inPlane, drag: false, start: () => [] },
    draw,
  });
})();
