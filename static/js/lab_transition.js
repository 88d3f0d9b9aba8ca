/* Lab: the linear model between memorization and generalization. */
(function () {
  "use strict";
  const S = window.Scores;
  const { define, digits } = window.Labs;
  const [LOW, HIGH, MOST] = [Math.log(0.0003), Math.log(300), 12];

  const kl = (n, d, nu) => (n < d ? S.spanKl(n, d, nu) : S.linearKl(n, d, nu));

  function draw(lab, context) {
    const { d, nu, n: asked } = lab.values;
    const n = Math.max(2, Math.round(asked * d));
    const base = lab.height - 70;
    const x = (count) => 8 + ((lab.width - 16) * count) / (MOST * d);
    const y = (value) => {
      const place = (Math.log(Math.max(value, 1e-9)) - LOW) / (HIGH - LOW);
      return base - (base - 14) * Math.min(1.1, Math.max(-0.1, place));
    };
    const curve = (from, to, color) => {
      const line = [];
      for (let count = from; count <= to; count++) {
        const value = kl(count, d, nu);
        if (Number.isFinite(value)) line.push([x(count), y(value)]);
      }
      if (line.length) lab.line(line, color, 2.2);
      return line;
    };
    context.save();
    context.beginPath();
    context.rect(0, 0, lab.width, base);
    context.clip();
    mark(lab, x(d), base, 30, "n = d", "ink");
    if (1 + nu < MOST) mark(lab, x(d * (1 + nu)), base, 47, "volume freezes", "green");
    lab.line(
      [
        [0, y(S.populationKl(nu))],
        [lab.width, y(S.populationKl(nu))],
      ],
      lab.color("quiet"),
    );
    curve(2, d - 1, lab.color("amber"));
    curve(d + 3, MOST * d, lab.color("blue"));
    rising(lab, d, nu, x, base);
    const here = kl(n, d, nu);
    if (Number.isFinite(here))
      lab.dot(x(n), y(here), 6, lab.color("paper"), lab.color("ink"));
    context.restore();
    const limit = y(S.populationKl(nu));
    const below = limit + 15 < base - 22; // else it would meet what is written there
    lab.text("n → ∞", lab.width - 8, below ? limit + 15 : limit - 6, lab.color("quiet"), "right");
    lab.text("divergence per dimension (log scale)", 8, 12, lab.color("quiet"));
    lab.text("n/d", lab.width - 8, base + 16, lab.color("quiet"), "right");
    for (let k = 0; k < MOST; k += 2)
      lab.text(String(k), x(k * d), base + 16, lab.color("quiet"), "center");
    compare(lab, n, d, nu, base + 26);
    lab.root.dataset.kl = here;
    const told = S.information(d, nu) > Math.log(n);
    lab.say(
      `n = ${n}, d = ${d}, ν = ${digits(nu)}: divergence per dimension ` +
        `${Number.isFinite(here) ? digits(here) : "without a mean"}` +
        `${n < d ? " on the span, infinite in the whole space" : ""}. A noised point ` +
        `${told ? "tells" : "does not tell"} its origin among n.`,
    );
  }

  /** A line across the plot, with its words in a row of their own. */
  function mark(lab, px, base, row, words, color) {
    lab.line(
      [
        [px, 20],
        [px, base],
      ],
      lab.color(color),
    );
    lab.beside(words, px, row, lab.color(color));
  }

  /** Shade the stretch in which more data make it worse. */
  function rising(lab, d, nu, x, base) {
    const { context } = lab;
    context.globalAlpha = 0.12;
    context.fillStyle = lab.color("violet");
    let [from, worst] = [null, null];
    for (let n = d + 4; n <= MOST * d; n++)
      if (S.linearKl(n, d, nu) > S.linearKl(n - 1, d, nu)) {
        from ??= n;
        worst = n;
      }
    if (from !== null) context.fillRect(x(from), 20, x(worst) - x(from), base - 20);
    context.globalAlpha = 1;
    if (from !== null) {
      lab.beside("more data hurt", x(from), base - 8, lab.color("violet"));
      lab.root.dataset.rises = [from, worst].join();
    } else lab.root.dataset.rises = "";
  }

  /** Bars: the information of a noised point against the logarithm of n. */
  function compare(lab, n, d, nu, top) {
    const { context } = lab;
    const rows = [
      ["I(X; Y)", S.information(d, nu), "blue"],
      ["log n", Math.log(n), "amber"],
    ];
    const scale = (lab.width - 140) / Math.max(...rows.map((row) => row[1]));
    rows.forEach(([name, value, color], k) => {
      const y = top + 20 * k;
      lab.text(name, 8, y + 11, lab.color("ink"));
      context.fillStyle = lab.color(color);
      context.fillRect(70, y, Math.max(1, scale * value), 13);
      lab.text(digits(value), 76 + scale * value, y + 11, lab.color("quiet"));
    });
  }

  define("transition", {
    title: "From memorization to generalization, in a model that can be solved",
    label: "Divergence of the linear model against the number of training points",
    help:
      "Orange: n below d, divergence on the span of the data. Blue: n above d, with the limit formula of the volume. " +
      "The dot is the model you chose. Below: what a noised point tells of its origin, in nats, against log n.",
    aspect: 0.66,
    window: () => ({ left: 0, right: 1, top: 1, bottom: 0 }),
    controls: [
      { key: "d", label: "Dimension d", min: 2, max: 100, step: 1, value: 30 },
      { key: "nu", label: "Noise-to-signal ratio ν", min: 0.05, max: 50, log: true, value: 1 },
      { key: "n", label: "Points per dimension n/d", min: 0.1, max: 12, step: 0.1, value: 2 },
    ],
    draw,
  });
})();
