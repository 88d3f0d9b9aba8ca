/* The frame of every lab: canvas, sliders, points to drag, a link to the present state.

   A page holds <div class="lab" data-lab="name">; the script of that lab calls
   Labs.define(name, spec).  Where scripts are off the text inside the div stays.
   Nothing moves by itself; everything works by pointer, touch and keyboard.

   A control with `idle` says why it has no effect under the present values, and is
   then disabled, with the reason below it.  Controls with `each` are there once for
   each of the settings that a lab compares (`spec.settings`): the value of the second
   bears a 2 behind its key, and `values.setting` says which one is being changed. */
(function () {
  "use strict";
  const made = new Map();

  /** A new element with attributes, and children or text. */
  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes))
      if (value !== undefined) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  const digits = (value) => {
    const size = Math.abs(value);
    if (size >= 100) return value.toFixed(0);
    if (size >= 10) return value.toFixed(1);
    return size >= 1 ? value.toFixed(2) : value.toPrecision(2);
  };

  class Lab {
    constructor(root, name, spec) {
      Object.assign(this, { root, name, spec, inputs: {}, selected: 0, times: [] });
      this.values = {};
      this.build();
      this.reset();
      this.read();
      this.listen();
      this.changed();
    }

    /* ---- What it is made of ------------------------------------------------------ */

    build() {
      const { spec, name } = this;
      const help = `lab-${name}-help`;
      const answers = spec.points && spec.points.drag;
      this.canvas = element("canvas", {
        tabindex: answers ? 0 : undefined,
        role: answers ? "application" : "img",
        "aria-roledescription": answers ? "interactive figure" : undefined,
        "aria-label": spec.label,
        "aria-describedby": help,
      });
      this.context = this.canvas.getContext("2d");
      this.status = element("p", { class: "lab-status", role: "status" });
      const controls = element("div", { class: "lab-controls" });
      for (const control of spec.controls) controls.append(this.control(control));
      const buttons = element("div", { class: "lab-buttons" });
      const button = (text, act) => {
        const made = element("button", { type: "button" }, text);
        made.addEventListener("click", act);
        buttons.append(made);
        return made;
      };
      if (spec.points && spec.points.most) {
        this.adder = button("Add a point", () => this.add());
        this.remover = button("Remove it", () => this.remove());
      }
      if (spec.again) button("New noise", () => this.set("seed", this.values.seed + 1));
      button("Start over", () => {
        this.reset();
        this.changed();
      });
      this.link = element("a", { class: "lab-link" }, "Link to this setting");
      buttons.append(this.link);
      this.root.append(
        element("p", { class: "lab-title" }, spec.title),
        this.canvas,
        this.status,
        ...(spec.table ? [(this.results = element("div", { class: "lab-results" }))] : []),
        controls,
        buttons,
        element("p", { class: "lab-help", id: help }, spec.help),
      );
      this.root.dataset.live = "";
      this.root.id = `lab-${name}`;
    }

    /** One control, with a place for the reason why it has no effect. */
    control(given) {
      const line = element("div", { class: "lab-control" });
      const input = given.choose ? this.choice(line, given) : this.slider(line, given);
      if (given.idle) {
        const reason = element("p", { class: "lab-reason" });
        reason.id = `lab-${this.name}-${given.key}-reason`;
        this.inputs[given.key].idle = (why) => {
          input.disabled = Boolean(why);
          line.classList.toggle("idle", input.disabled);
          reason.textContent = why;
          if (why) input.setAttribute("aria-describedby", reason.id);
          else input.removeAttribute("aria-describedby");
        };
        line.append(reason);
      }
      return line;
    }

    /** A few buttons of which one is pressed. */
    choice(line, { key, label, options }) {
      const id = `lab-${this.name}-${key}`;
      const group = element("div", { class: "lab-choice", role: "radiogroup" });
      group.setAttribute("aria-labelledby", id);
      const made = options.map(([value, text]) => {
        const input = element("input", { type: "radio", name: id, value, id: `${id}-${value}` });
        input.addEventListener("change", () => this.set(key, value));
        group.append(element("label", { for: input.id }, input, text));
        return input;
      });
      this.inputs[key] = {
        show: (value) => made.forEach((input) => (input.checked = input.value === value)),
      };
      line.append(element("span", { id }, label), group);
      return group;
    }

    slider(line, { key, label, options, min, max, step, log }) {
      const id = `lab-${this.name}-${key}`;
      line.append(element("label", { for: id }, label));
      if (options) {
        const select = element("select", { id });
        for (const [value, text] of options)
          select.append(element("option", { value }, text));
        select.addEventListener("change", () => this.set(key, select.value));
        this.inputs[key] = { show: (value) => (select.value = value) };
        line.append(select);
        return select;
      }
      const range = element("input", {
        id,
        type: "range",
        min: log ? 0 : min,
        max: log ? 200 : max,
        step: log ? 1 : step,
      });
      const shown = element("output", { for: id });
      const ratio = Math.log(max / min) / 200;
      const from = (place) => (log ? min * Math.exp(ratio * place) : place);
      const to = (value) => (log ? Math.log(value / min) / ratio : value);
      range.addEventListener("input", () => this.set(key, from(Number(range.value))));
      this.inputs[key] = {
        show: (value, holds = value) => {
          range.value = to(value);
          shown.value = log || step < 1 ? digits(holds) : String(holds);
          range.setAttribute("aria-valuetext", shown.value);
        },
        clip: (value) => Math.min(max, Math.max(min, value)),
      };
      line.append(range, shown);
      return range;
    }

    /* ---- Its state, and the link that keeps it ----------------------------------- */

    /** Where the value of a control is kept, for the setting that is being changed. */
    place({ key, each }) {
      return each !== undefined && this.values.setting === this.spec.settings[1] ? `${key}2` : key;
    }

    /** The values of one setting, under the names without a 2. */
    setting(which) {
      const own = { ...this.values };
      for (const { key, each } of this.spec.controls)
        if (each !== undefined) own[key] = this.values[which ? `${key}2` : key];
      return own;
    }

    reset() {
      for (const { key, value, each } of this.spec.controls) {
        this.values[key] = value;
        if (each !== undefined) this.values[`${key}2`] = each;
      }
      if (this.spec.again) this.values.seed = 1;
      const { points } = this.spec;
      this.points = points ? points.start(this.values).map((p) => [...p]) : [];
      this.selected = points && points.probe ? this.points.length - 1 : 0;
    }

    set(key, value) {
      const control = this.spec.controls.find((c) => c.key === key);
      this.values[control ? this.place(control) : key] = value;
      if (control && control.resets) {
        this.points = this.spec.points.start(this.values).map((p) => [...p]);
        this.selected = 0;
      }
      this.changed();
    }

    address() {
      const parts = [`lab=${this.name}`];
      for (const [key, value] of Object.entries(this.values))
        parts.push(`${key}=${typeof value === "number" ? +value.toPrecision(5) : value}`);
      if (this.spec.points && this.spec.points.most)
        parts.push(`points=${this.points.flat().map((v) => +v.toFixed(3))}`);
      return `#${parts.join("&")}`;
    }

    /** Take over what the page's address says, where it speaks of this lab. */
    read() {
      const given = new URLSearchParams(location.hash.slice(1));
      if (given.get("lab") !== this.name) return false;
      for (const { key, options, each } of this.spec.controls)
        for (const name of each === undefined ? [key] : [key, `${key}2`]) {
          if (!given.has(name)) continue;
          const text = given.get(name);
          if (options) {
            if (options.some(([value]) => value === text)) this.values[name] = text;
          } else if (text !== "" && Number.isFinite(Number(text)))
            this.values[name] = this.inputs[key].clip(Number(text));
        }
      const seed = Number(given.get("seed"));
      if (this.spec.again && Number.isInteger(seed)) this.values.seed = seed;
      const { points } = this.spec;
      if (!points) return true;
      this.points = points.start(this.values).map((p) => [...p]);
      const flat = given.has("points") ? given.get("points").split(",").map(Number) : [];
      const d = points.dimension;
      if (points.most && flat.length >= d && flat.length % d === 0)
        if (flat.every(Number.isFinite) && flat.length / d <= points.most)
          this.points = Array.from({ length: flat.length / d }, (_, j) =>
            flat.slice(j * d, j * d + d),
          );
      return true;
    }

    changed() {
      const { points, controls } = this.spec;
      if (points && points.counted) this.values[points.counted] = this.points.length;
      const shown = this.setting(this.values.setting === this.spec.settings?.[1] ? 1 : 0);
      for (const { key, idle, holds } of controls) {
        this.inputs[key].show(shown[key], holds && holds(shown));
        if (idle) this.inputs[key].idle(idle(shown) || "");
      }
      if (this.adder) {
        const count = this.points.length - (points.probe ? 1 : 0);
        this.adder.disabled = this.points.length >= points.most;
        this.remover.disabled = count <= (points.least || 1);
      }
      this.link.setAttribute("href", this.address());
      this.redraw();
    }

    /* ---- Points: add, remove, drag, move by keys --------------------------------- */

    add() {
      const { points } = this.spec;
      if (this.points.length >= points.most) return;
      const place = points.fresh(this.points);
      this.points.splice(this.points.length - (points.probe ? 1 : 0), 0, place);
      this.selected = this.points.length - 1 - (points.probe ? 1 : 0);
      this.changed();
    }

    remove() {
      const { points } = this.spec;
      const spare = points.probe ? 1 : 0;
      if (this.points.length - spare <= (points.least || 1)) return;
      const last = this.points.length - 1 - spare;
      this.points.splice(Math.min(this.selected, last), 1);
      this.selected = Math.min(this.selected, this.points.length - 1 - spare);
      this.changed();
    }

    move(index, place) {
      const { clip } = this.spec.points;
      this.points[index] = clip(place, this);
      this.changed();
    }

    listen() {
      const { canvas, spec } = this;
      const place = (event) => {
        const box = canvas.getBoundingClientRect();
        return this.unproject(event.clientX - box.left, event.clientY - box.top);
      };
      canvas.addEventListener("pointerdown", (event) => {
        if (spec.settings)
          this.set("setting", spec.settings[event.offsetX < this.width / 2 ? 0 : 1]);
        if (!spec.points || !spec.points.drag) return;
        const at = place(event);
        const far = this.points.map((p) => spec.points.distance(p, at, this));
        let near = far.indexOf(Math.min(...far));
        if (spec.points.probe && far[near] > 26) near = this.points.length - 1;
        else if (far[near] > 26) return;
        this.selected = this.dragged = near;
        canvas.setPointerCapture(event.pointerId);
        canvas.focus({ preventScroll: true });
        event.preventDefault();
        if (spec.points.probe && far[near] > 26) this.move(near, at);
        else this.changed();
      });
      canvas.addEventListener("pointermove", (event) => {
        if (this.dragged !== undefined) this.move(this.dragged, place(event));
      });
      for (const name of ["pointerup", "pointercancel"])
        canvas.addEventListener(name, () => (this.dragged = undefined));
      canvas.addEventListener("keydown", (event) => this.key(event));
      // Its height changes with the words below the canvas: that is no reason to redraw.
      new ResizeObserver(() => {
        if (this.room() !== this.width) this.redraw();
      }).observe(this.root);
      new MutationObserver(() => this.redraw()).observe(document.documentElement, {
        attributeFilter: ["data-theme"],
      });
      addEventListener("hashchange", () => {
        if (this.read()) this.changed();
      });
    }

    key(event) {
      if (!this.spec.points || !this.spec.points.drag) return;
      const step = event.shiftKey ? 0.2 : 0.05;
      const moves = {
        ArrowLeft: [-step, 0],
        ArrowRight: [step, 0],
        ArrowUp: [0, step],
        ArrowDown: [0, -step],
      };
      const count = this.points.length;
      if (event.key in moves) {
        const by = moves[event.key];
        this.move(
          this.selected,
          this.points[this.selected].map((v, k) => v + by[k]),
        );
      } else if (event.key === "n" || event.key === "p") {
        this.selected = (this.selected + (event.key === "n" ? 1 : count - 1)) % count;
        this.changed();
      } else if (event.key === "+" && this.spec.points.most) this.add();
      else if (event.key === "Delete" && this.spec.points.most) this.remove();
      else return;
      event.preventDefault();
    }

    /* ---- Drawing ----------------------------------------------------------------- */

    color(name) {
      return this.style.getPropertyValue(`--${name}`).trim();
    }

    x(value) {
      const { left, right } = this.window;
      return ((value - left) / (right - left)) * this.width;
    }

    y(value) {
      const { top, bottom } = this.window;
      return ((top - value) / (top - bottom)) * this.height;
    }

    unproject(px, py) {
      const { left, right, top, bottom } = this.window;
      const x = left + (px / this.width) * (right - left);
      const y = top - (py / this.height) * (top - bottom);
      return [x, y].slice(0, this.spec.points ? this.spec.points.dimension : 2);
    }

    room() {
      return Math.round(this.root.clientWidth);
    }

    redraw() {
      if (this.waiting) return;
      this.waiting = requestAnimationFrame(() => {
        this.waiting = undefined;
        const width = this.room();
        if (width <= 0) return;
        const began = performance.now();
        const ratio = Math.min(2, window.devicePixelRatio || 1);
        const height = Math.round(Math.min(width * this.spec.aspect, 520));
        if (this.canvas.width !== width * ratio || this.canvas.height !== height * ratio) {
          this.canvas.width = width * ratio;
          this.canvas.height = height * ratio;
          this.canvas.style.height = `${height}px`;
        }
        Object.assign(this, { width, height });
        this.style = getComputedStyle(document.documentElement);
        this.window = this.spec.window(width / height, this.values);
        this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
        this.context.clearRect(0, 0, width, height);
        this.context.font = "13px system-ui, sans-serif";
        this.job = this.spec.draw(this, this.context);
        this.spent(began);
        if (this.job) this.proceed(this.job);
      });
    }

    /** Long computations: a piece in each frame, until done or until all changes. */
    proceed(job) {
      const began = performance.now();
      let done = false;
      while (!done && performance.now() - began < 8) done = job.next().done;
      this.spent(began);
      if (!done)
        requestAnimationFrame(() => {
          if (this.job === job) this.proceed(job);
        });
      this.root.dataset.busy = done ? "no" : "yes";
    }

    /** Keep the last redraw times, for those who measure. */
    spent(began) {
      this.times.push(performance.now() - began);
      if (this.times.length > 400) this.times.shift();
    }

    say(text) {
      if (this.status.textContent !== text) this.status.textContent = text;
    }

    dot(x, y, radius, fill, stroke) {
      const { context } = this;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      if (fill) {
        context.fillStyle = fill;
        context.fill();
      }
      if (stroke) {
        context.strokeStyle = stroke;
        context.stroke();
      }
    }

    line(points, color, width = 1) {
      const { context } = this;
      context.beginPath();
      points.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.strokeStyle = color;
      context.lineWidth = width;
      context.stroke();
      context.lineWidth = 1;
    }

    text(words, x, y, color, align = "left") {
      this.context.fillStyle = color;
      this.context.textAlign = align;
      this.context.fillText(words, x, y);
    }

    /** Words to the right of a place, or to the left where there is no room for them. */
    beside(words, x, y, color) {
      const fits = x + 4 + this.context.measureText(words).width < this.width - 2;
      this.text(words, fits ? x + 4 : x - 4, y, color, fits ? "left" : "right");
    }

    /** The results as a table: a head, and rows that each begin with their name. */
    tabulate(head, rows) {
      const top = element("tr", {}, ...head.map((cell) => element("th", { scope: "col" }, cell)));
      const lines = rows.map(([name, ...cells]) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, name),
          ...cells.map((cell) => element("td", {}, cell)),
        ),
      );
      this.results.replaceChildren(
        element(
          "table",
          {},
          element("caption", {}, this.spec.table),
          element("thead", {}, top),
          element("tbody", {}, ...lines),
        ),
      );
    }
  }

  function define(name, spec) {
    const start = () => {
      for (const root of document.querySelectorAll(`.lab[data-lab="${name}"]`))
        if (!made.has(root)) made.set(root, new Lab(root, name, spec));
      const asked = new URLSearchParams(location.hash.slice(1)).get("lab");
      if (asked === name) document.getElementById(`lab-${name}`)?.scrollIntoView();
    };
    if (document.readyState === "loading")
      document.addEventListener("DOMContentLoaded", start);
    else start();
  }

  /** A window of the plane with equal scales, `reach` to either side. */
  const plane = (reach) => (ratio) => ({
    left: -reach,
    right: reach,
    top: reach / ratio,
    bottom: -reach / ratio,
  });

  /** Dragging in the plane: distances in pixels, places kept in sight. */
  const inPlane = {
    dimension: 2,
    drag: true,
    distance: (p, at, lab) =>
      Math.hypot(lab.x(p[0]) - lab.x(at[0]), lab.y(p[1]) - lab.y(at[1])),
    clip: ([x, y], lab) => [
      Math.min(lab.window.right, Math.max(lab.window.left, x)),
      Math.min(lab.window.top, Math.max(lab.window.bottom, y)),
    ],
  };

  window.Labs = { define, digits, inPlane, made, plane };
})();
