/* Lab: the empirical score of points that the reader drags. */
(function () {
  "use strict";
  const S = window.Scores;
  const { define, digits, inPlane, plane } = window.Labs;
  const START = [
    [-1.2, -0.5],
    [-0.9, 0.6],
    [0.1, 0.9],
    [0.9, 0.5],
    [1.1, -0.6],
  ];

  /** The density as a picture, one exponential for each row and column of a point. */
  function shade(lab, points, sigma) {
    const columns = 80;
    const rows = Math.round((columns * lab.height) / lab.width);
    const { left, right, top, bottom } = lab.window;
    const sum = new Float64Array(columns * rows);
    const along = (value, from, to, count) =>
      Float64Array.from({ length: count }, (_, k) => {
        const place = from + ((k + 0.5) / count) * (to - from);
        return Math.exp((-0.5 * (place - value) ** 2) / sigma ** 2);
      });
    for (const [x, y] of points) {
      const across = along(x, left, right, columns);
      const down = along(y, top, bottom, rows);
      for (let r = 0, i = 0; r < rows; r++)
        for (let c = 0; c < columns; c++, i++) sum[i] += down[r] * across[c];
    }
    const most = sum.reduce((a, b) => Math.max(a, b), 1e-300);
    const small = new OffscreenCanvas(columns, rows);
    const pen = small.getContext("2d");
    const picture = pen.createImageData(columns, rows);
    const dark = document.documentElement.dataset.theme === "dark";
    const ink = dark ? [130, 189, 235] : [0, 103, 165];
    for (let i = 0; i < sum.length; i++) {
      picture.data.set(ink, 4 * i);
      picture.data[4 * i + 3] = 110 * Math.sqrt(sum[i] / most);
    }
    pen.putImageData(picture, 0, 0);
    lab.context.imageSmoothingEnabled = true;
    lab.context.drawImage(small, 0, 0, lab.width, lab.height);
  }

  function arrow(lab, x, y, dx, dy) {
    const { context } = lab;
    const [ax, ay, bx, by] = [lab.x(x), lab.y(y), lab.x(x + dx), lab.y(y + dy)];
    const turn = Math.atan2(by - ay, bx - ax);
    const head = Math.min(5, Math.hypot(bx - ax, by - ay));
    context.moveTo(ax, ay);
    context.lineTo(bx, by);
    for (const side of [-0.5, 0.5]) {
      context.moveTo(bx, by);
      context.lineTo(
        bx - head * Math.cos(turn + side),
        by - head * Math.sin(turn + side),
      );
    }
  }

  function draw(lab, context) {
    const { sigma } = lab.values;
    const count = lab.points.length - 1;
    const training = lab.points.slice(0, count);
    const probe = lab.points[count];
    const flat = Float64Array.from(training.flat());
    shade(lab, training, sigma);

    const columns = lab.width < 520 ? 13 : 21;
    const cell = (lab.window.right - lab.window.left) / columns;
    const rows = Math.floor((lab.window.top - lab.window.bottom) / cell);
    const denoise = S.denoiser(flat, 2, S.gaussian);
    const out = new Float64Array(2);
    context.beginPath();
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) {
        const x = lab.window.left + (c + 0.5) * cell;
        const y = lab.window.top - (r + 0.5) * cell;
        denoise([x, y], sigma, out);
        const [dx, dy] = [out[0] - x, out[1] - y];
        const size = Math.hypot(dx, dy);
        if (size < 1e-9) continue;
        // Directions are those of the score; lengths grow like a root, up to a cell.
        const length = cell * 0.85 * Math.min(1, Math.sqrt(size / 1.5));
        arrow(lab, x, y, (dx / size) * length, (dy / size) * length);
      }
    context.strokeStyle = lab.color("quiet");
    context.globalAlpha = 0.75;
    context.stroke();
    context.globalAlpha = 1;

    const w = new Float64Array(count);
    S.weights(flat, 2, probe, S.gaussian(sigma), w);
    const mean = S.mean(flat, 2, w, new Float64Array(2));
    lab.line(
      [probe, [...mean]].map(([x, y]) => [lab.x(x), lab.y(y)]),
      lab.color("amber"),
      2,
    );
    training.forEach(([x, y], j) => {
      lab.dot(lab.x(x), lab.y(y), 3 + 14 * Math.sqrt(w[j]), lab.color("blue"));
      lab.dot(lab.x(x), lab.y(y), 3, lab.color("paper"), lab.color("ink"));
    });
    const chosen = lab.points[lab.selected];
    lab.dot(lab.x(chosen[0]), lab.y(chosen[1]), 20, null, lab.color("ink"));
    lab.dot(lab.x(probe[0]), lab.y(probe[1]), 6, lab.color("amber"), lab.color("ink"));
    lab.dot(lab.x(mean[0]), lab.y(mean[1]), 5, lab.color("paper"), lab.color("amber"));

    const best = w.indexOf(Math.max(...w));
    lab.root.dataset.mean = [...mean].join();
    lab.root.dataset.effective = S.effectivePoints(w);
    lab.say(
      `Noise level ${digits(sigma)}. At the orange point ${digits(S.effectivePoints(w))} ` +
        `of ${count} training point${count > 1 ? "s" : ""} matter; the nearest carries ` +
        `${Math.round(100 * w[best])} percent of the weight.`,
    );
  }

  define("score", {
    title: "The empirical score",
    label: "Training points in the plane, the density of the noised points and arrows of the score",
    help:
      "Drag the training points and the orange probe, or tap where the probe should go. Disks show " +
      "the weight of each training point at the probe, the orange line leads to the denoised point. " +
      "Keys: arrows move the selected point, n and p select, + adds, Delete removes.",
    aspect: 0.64,
    window: plane(2),
    controls: [
      { key: "sigma", label: "Noise level σ", min: 0.05, max: 3, log: true, value: 0.45 },
    ],
    points: {
      ...inPlane,
      probe: true,
      most: 201,
      least: 1,
      start: () => [...START, [0.15, -0.35]],
      fresh: (points) => {
        const turn = 2.4 * points.length;
        return [1.3 * Math.cos(turn), 0.8 * Math.sin(turn)];
      },
    },
    draw,
  });
})();
