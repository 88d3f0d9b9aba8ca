/* Lab: the ramp against the exact score on a line. */
(function () {
  "use strict";
  const S = window.Scores;
  const { define, digits } = window.Labs;

  const lattice = (count) =>
    Array.from({ length: count }, (_, k) => [count > 1 ? -1.2 + (2.4 * k) / (count - 1) : 0]);

  function draw(lab, context) {
    const { kappa, start, which } = lab.values;
    const points = lab.points.map((p) => p[0]).sort((a, b) => a - b);
    const law = S.terminalLaw(points, kappa, start);
    const denoise = S.denoiser(Float64Array.from(points), 1, S.gaussian);
    const [high, low] = [30, 0.66 * lab.height];
    const depth = (sigma) => low - (low - high) * (sigma / start);
    const levels = Float64Array.from({ length: 41 }, (_, k) => start * (1 - k / 40) ** 2);
    const work = S.workspace(1);

    if (which !== "exact")
      for (const [left, right] of closed(points)) {
        context.beginPath();
        context.globalAlpha = 0.1;
        context.fillStyle = lab.color("green");
        const tip = Math.min(start, (right - left) / 2 / Math.max(kappa, 1e-9));
        context.moveTo(lab.x(left), low);
        context.lineTo(lab.x(right), low);
        context.lineTo(lab.x(right - kappa * tip), depth(tip));
        context.lineTo(lab.x(left + kappa * tip), depth(tip));
        context.fill();
        context.globalAlpha = 1;
      }
    for (let k = 0; k < 49; k++) {
      const x = lab.window.left + ((k + 0.5) / 49) * (lab.window.right - lab.window.left);
      if (which !== "ramp") {
        const at = Float64Array.of(x);
        const line = [[lab.x(x), depth(start)]];
        for (let i = 0; i + 1 < levels.length; i++) {
          S.heunStep(denoise, at, levels[i], levels[i + 1], work);
          line.push([lab.x(at[0]), depth(levels[i + 1])]);
        }
        lab.line(line, lab.color("blue"), which === "both" ? 0.8 : 1.2);
      }
      if (which !== "exact") {
        const end = S.rampFlow(points, kappa, x, start, 0);
        const copied = points.some((y) => Math.abs(y - end) < 1e-9);
        lab.line(
          [
            [lab.x(x), depth(start)],
            [lab.x(end), low],
          ],
          lab.color(copied ? "quiet" : "amber"),
          1.2,
        );
      }
    }
    lab.text(`σ = ${digits(start)}`, 6, 20, lab.color("quiet"));
    lab.text("σ = 0", 6, low - 6, lab.color("quiet"));
    below(lab, points, law, which, low);
    points.forEach((y) =>
      lab.dot(lab.x(y), low, 5, lab.color("paper"), lab.color("ink")),
    );
    const chosen = lab.points[lab.selected];
    if (chosen) lab.dot(lab.x(chosen[0]), low, 9, null, lab.color("ink"));
    lab.root.dataset.memorized = law.memorized;
    lab.say(
      which === "exact"
        ? "With the exact score every path ends on a training point."
        : told(law.memorized, covered(points, kappa, start)),
    );
  }

  /** Whether the collars leave no ramp in any gap at the level where paths start. */
  const covered = (points, kappa, start) =>
    closed(points).every(([left, right]) => (right - left) / 2 <= kappa * start);

  /** The share of copies in words. */
  function told(share, all) {
    if (all)
      return "All of the ramp's samples are copies: the collars cover every gap at the start level.";
    const percent = Math.round(100 * share);
    const words =
      percent === 100 ? "more than 99" : percent === 0 ? "less than 1" : String(percent);
    return `Of the ramp's samples ${words} percent are copies; the rest lie between the points.`;
  }

  const closed = (points) => points.slice(1).map((right, j) => [points[j], right]);

  /** The law at the end: bars on the points, a density between them. */
  function below(lab, points, law, which, top) {
    const { context } = lab;
    const base = lab.height - 6;
    const room = base - top - 14;
    const atoms = which === "exact" ? points.map(() => 1 / points.length) : law.atoms;
    const scale = room / Math.max(...atoms, 0.05);
    atoms.forEach((mass, j) => {
      context.fillStyle = lab.color("blue");
      context.fillRect(lab.x(points[j]) - 3, base - scale * mass, 6, scale * mass);
    });
    if (which !== "exact") {
      const line = [];
      for (let px = 0; px <= lab.width; px += 2) {
        const [x] = lab.unproject(px, 0);
        line.push([px, base - Math.min(room, 0.8 * room * law.density(x))]);
      }
      lab.line(line, lab.color("amber"), 2);
    }
    lab.line(
      [
        [0, base],
        [lab.width, base],
      ],
      lab.color("quiet"),
    );
  }

  define("ramp", {
    title: "Ramp against exact score",
    label: "Paths in the plane of place and noise level, and the law at their end",
    help:
      "Noise falls from top to bottom. Gray lines end on training points, orange ones between them; " +
      "shaded are the regions of the ramps. Below: bars are the shares of the points, the curve is the density " +
      "between. Drag the points along the line; to choose their number spaces them equally. Keys: arrows move the selected point, n and p select, + adds, Delete removes.",
    aspect: 0.74,
    window: () => ({ left: -1.9, right: 1.9, top: 1, bottom: 0 }),
    controls: [
      {
        key: "which",
        label: "Score",
        value: "ramp",
        options: [
          ["ramp", "ramp"],
          ["exact", "exact"],
          ["both", "both"],
        ],
      },
      {
        key: "kappa",
        label: "Collar κ",
        min: 0,
        max: 3,
        step: 0.05,
        value: 0.5,
        idle: ({ which }) => which === "exact" && "No effect: the exact score has no collar.",
      },
      { key: "start", label: "Start level σ₀", min: 0.05, max: 2, log: true, value: 0.6 },
      { key: "count", label: "Number of points", min: 2, max: 40, step: 1, value: 3, resets: true },
    ],
    points: {
      dimension: 1,
      drag: true,
      counted: "count",
      most: 40,
      least: 2,
      start: ({ count }) => lattice(count),
      fresh: (points) => {
        const sorted = points.map((p) => p[0]).sort((a, b) => a - b);
        const gaps = closed(sorted).map(([a, b]) => b - a);
        const widest = gaps.indexOf(Math.max(...gaps));
        return [(sorted[widest] + sorted[widest + 1]) / 2];
      },
      distance: (p, at, lab) => Math.abs(lab.x(p[0]) - lab.x(at[0])),
      clip: ([x], lab) => [Math.min(lab.window.right, Math.max(lab.window.left, x))],
    },
    draw,
  });
})();
