/* Lab: how little copying an audit finds, how often, and how sure. */
(function () {
  "use strict";
  const S = window.Scores;
  const { define, digits } = window.Labs;
  const RUNS = 40;
  const [LEAST, MOST] = [0.0001, 0.2];

  const count = (value) => Math.round(value).toLocaleString("en-US");
  const percent = (share) => `${digits(100 * share)} %`;

  /** A binomial number: one draw for each of few, else a rounded normal one. */
  function draw(n, p, noise) {
    const variance = n * p * (1 - p);
    if (variance > 400)
      return Math.max(0, Math.min(n, Math.round(n * p + Math.sqrt(variance) * noise())));
    // Gaps between hits are geometric: as many draws as hits.
    let [hits, place] = [0, 0];
    while (p > 0) {
      place += 1 + Math.floor(Math.log(1 - noise.uniform()) / Math.log1p(-p));
      if (place > n) break;
      hits++;
    }
    return hits;
  }

  /** What audits of one model would find, run after run. */
  function runs({ m, h, rate, base, seed }) {
    const noise = S.normals(seed);
    return Array.from({ length: RUNS }, () => {
      const ours = draw(m, rate + (1 - rate) * base, noise);
      const theirs = draw(h, base, noise);
      return { ours, theirs, p: S.fisher(ours, m, theirs, h) };
    });
  }

  function paint(lab, context) {
    const { values } = lab;
    const setting = {
      m: Math.round(values.m),
      h: Math.round(values.h),
      rate: values.rate / 100,
      base: values.base / 100,
      seed: values.seed,
    };
    const { m, h, rate, base } = setting;
    const room = 92;
    const bottom = lab.height - room;
    const x = (value) =>
      44 + ((lab.width - 60) * Math.log(value / LEAST)) / Math.log(MOST / LEAST);
    const y = (share) => bottom - (bottom - 34) * share;
    const list = S.references(m, h, base);
    axes(lab, x, y, bottom);
    const curve = [];
    for (let k = 0; k <= 60; k++) {
      const at = LEAST * (MOST / LEAST) ** (k / 60);
      curve.push([x(at), y(S.auditPower(m, base, at, list))]);
    }
    lab.line(curve, lab.color("blue"), 2.2);
    const power = S.auditPower(m, base, rate, list);
    lab.dot(x(rate), y(power), 6, lab.color("paper"), lab.color("ink"));
    const made = runs(setting);
    const found = made.filter((run) => run.p <= 0.01).length;
    squares(lab, context, made, bottom + 42);
    lab.root.dataset.power = power;
    lab.root.dataset.found = found;
    say(lab, setting, power, found, made[0], list);
  }

  function axes(lab, x, y, bottom) {
    const quiet = lab.color("quiet");
    lab.text("chance of being found, against the rate of copies", 8, 18, quiet);
    for (const share of [0, 0.5, 0.9, 1]) {
      lab.line(
        [
          [44, y(share)],
          [lab.width - 16, y(share)],
        ],
        lab.color("hairline"),
      );
      if (share !== 1) lab.text(`${100 * share} %`, 40, y(share) + 4, quiet, "right");
    }
    for (const share of [0.0001, 0.001, 0.01, 0.1])
      lab.text(`${+(100 * share).toPrecision(1)} %`, x(share), bottom + 18, quiet, "center");
  }

  /** One square for each run: filled if the audit said that copying was found. */
  function squares(lab, context, made, top) {
    lab.text(`${RUNS} audits of such a model: filled, copying found`, 8, top, lab.color("quiet"));
    const step = Math.min(18, (lab.width - 16) / (RUNS / 2));
    made.forEach((run, k) => {
      const left = 8 + step * (k % (RUNS / 2));
      const height = top + 8 + step * Math.floor(k / (RUNS / 2));
      context.fillStyle = lab.color(run.p <= 0.01 ? "amber" : "paper");
      context.strokeStyle = lab.color("ink");
      context.fillRect(left, height, step - 4, step - 4);
      context.strokeRect(left, height, step - 4, step - 4);
    });
  }

  function say(lab, { m, h, base }, power, found, first, list) {
    const middle = list[Math.floor(list.length / 2)].needed;
    const needed = middle > m ? "No count is significant" : `It takes ${count(middle)} copies`;
    const rate = S.copyRate(first.ours, m, first.theirs, h);
    const p = first.p < 0.0001 ? "p < 0.0001" : `p = ${digits(first.p)}`;
    lab.say(
      `${base > 0 && middle <= m ? `A count of ${count(middle)} is significant` : needed}. ` +
        `Found in ${digits(100 * power)} of 100 audits; here in ${found} of ${RUNS}. ` +
        `The first: ${count(first.ours)} of ${count(m)} samples and ${count(first.theirs)} of ` +
        `${count(h)} held-out images single out one training image, ${p}; ` +
        `rate of copies ${percent(rate.value)} (${percent(rate.low)} to ${percent(rate.high)}).`,
    );
  }

  define("audit", {
    title: "How little copying an audit finds",
    label: "Chance that copying is found, against the rate of copies; and forty audits",
    help:
      "The test is Fisher's, at level 0.01. The curve is its exact power, the dot your setting. “Honest images that look " +
      "copied” is the share of images, held out or not copied, that single out one training image all the same.",
    aspect: 0.72,
    window: () => ({ left: 0, right: 1, top: 1, bottom: 0 }),
    again: true,
    controls: [
      { key: "m", label: "Samples", min: 50, max: 10000, log: true, value: 2000 },
      { key: "h", label: "Held-out images", min: 50, max: 10000, log: true, value: 1000 },
      { key: "rate", label: "Copies, percent", min: 0.01, max: 20, log: true, value: 1 },
      { key: "base", label: "Honest images that look copied, percent", min: 0, max: 2, step: 0.1, value: 0 },
    ],
    draw: paint,
  });
})();
