/* Lab: from noise to copies, along the probability-flow ODE or the reverse SDE. */
(function () {
  "use strict";
  const S = window.Scores;
  const { define, digits, inPlane, plane } = window.Labs;
  const START = Array.from({ length: 9 }, (_, k) => {
    const turn = 2.399963 * k;
    const radius = 1.15 * Math.sqrt((k + 0.7) / 9);
    return [radius * Math.cos(turn) - 0.25, 0.85 * radius * Math.sin(turn)];
  });
  const PATHS = 160;

  /** The last level is below the first, whatever the slider says. */
  const below = ({ start, stop }) => Math.min(stop, 0.9 * start);

  function* draw(lab, context) {
    const { start, stop, steps, method, seed } = lab.values;
    const flat = Float64Array.from(lab.points.flat());
    const n = lab.points.length;
    const denoise = S.denoiser(flat, 2, S.gaussian);
    const levels = S.geometricLevels(steps + 1, start, below({ start, stop }));
    const draw = S.normals(seed);
    const work = S.workspace(2);
    const counts = new Array(n).fill(0);
    const w = new Float64Array(n);
    const marks = () =>
      lab.points.forEach(([x, y], j) =>
        lab.dot(
          lab.x(x),
          lab.y(y),
          j === lab.selected ? 6.5 : 5,
          lab.color("paper"),
          lab.color("ink"),
        ),
      );
    let far = 0;
    marks();
    lab.say("Sampling.");
    for (let path = 0; path < PATHS; path++) {
      const pick = Math.floor(draw.uniform() * n);
      const x = Float64Array.of(
        flat[2 * pick] + start * draw(),
        flat[2 * pick + 1] + start * draw(),
      );
      const line = [[lab.x(x[0]), lab.y(x[1])]];
      for (let k = 0; k < steps; k++) {
        if (method === "ode") S.heunStep(denoise, x, levels[k], levels[k + 1], work);
        else S.ancestralStep(denoise, x, levels[k], levels[k + 1], work, [draw(), draw()]);
        line.push([lab.x(x[0]), lab.y(x[1])]);
      }
      S.weights(flat, 2, x, S.gaussian(1), w);
      const near = w.indexOf(Math.max(...w));
      counts[near]++;
      far += Math.hypot(x[0] - flat[2 * near], x[1] - flat[2 * near + 1]) / PATHS;
      context.globalAlpha = 0.3;
      lab.line(line, lab.color(["blue", "amber", "green", "violet"][near % 4]));
      context.globalAlpha = 1;
      lab.dot(...line.at(-1), 2, lab.color("ink"));
      if (path % 4 === 3) yield;
    }
    marks();
    bars(lab, counts);
    lab.root.dataset.counts = counts.join();
    lab.say(
      `${PATHS} samples ended ${digits(far)} from a training point on average. ` +
        `Each of the ${n} points got between ${Math.min(...counts)} and ` +
        `${Math.max(...counts)} of them; equal shares would be ${digits(PATHS / n)}.`,
    );
  }

  /** Where the samples ended, beside the equal share and two standard deviations. */
  function bars(lab, counts) {
    const { context } = lab;
    const n = counts.length;
    const width = Math.min(9, 150 / n);
    const [left, base, scale] = [10, lab.height - 8, 46 / Math.max(...counts)];
    const fair = PATHS / n;
    const spread = 2 * Math.sqrt(fair * (1 - 1 / n));
    context.fillStyle = lab.color("paper");
    context.globalAlpha = 0.85;
    context.fillRect(left - 6, base - 66, Math.max(n * width, 90) + 12, 72);
    context.globalAlpha = 0.25;
    context.fillStyle = lab.color("quiet");
    const low = Math.max(0, fair - spread);
    context.fillRect(left, base - scale * (fair + spread), n * width, scale * (fair + spread - low));
    context.globalAlpha = 1;
    counts.forEach((count, j) => {
      context.fillStyle = lab.color(["blue", "amber", "green", "violet"][j % 4]);
      context.fillRect(left + j * width, base - scale * count, width - 1, scale * count);
    });
    lab.line(
      [
        [left, base - scale * fair],
        [left + n * width, base - scale * fair],
      ],
      lab.color("ink"),
    );
    lab.text("where they end", left, base - 54, lab.color("quiet"));
  }

  define("sampler", {
    title: "From noise to copies",
    label: "Paths of a sampler driven by the exact score of the training points",
    help:
      "Every path starts at the start level and is colored by the training point where it ends. " +
      "Bars count the ends; the line is the equal share, the band two standard deviations of it. " +
      "Keys: arrows move the selected point, n and p select, + adds, Delete removes.",
    aspect: 0.64,
    window: plane(2.6),
    again: true,
    controls: [
      {
        key: "method",
        label: "Sampler",
        value: "ode",
        options: [
          ["ode", "probability-flow ODE"],
          ["sde", "reverse SDE"],
        ],
      },
      { key: "start", label: "Start level", min: 0.3, max: 20, log: true, value: 3 },
      {
        key: "stop",
        label: "Stop at level",
        min: 0.002,
        max: 1,
        log: true,
        value: 0.01,
        holds: below,
      },
      { key: "steps", label: "Steps", min: 2, max: 60, step: 1, value: 30 },
    ],
    points: {
      ...inPlane,
      most: 200,
      least: 2,
      start: () => START,
      fresh: (points) => {
        const turn = 1.7 * points.length;
        return [1.6 * Math.cos(turn), 0.9 * Math.sin(turn)];
      },
    },
    draw,
  });
})();
