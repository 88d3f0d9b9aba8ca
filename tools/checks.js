// What can be wrong on a page, as far as the page itself can tell: functions that
// `browse_site.py` calls on every page that it opens.

const all = where => [...document.querySelectorAll(where)];
const label = e => `${e.localName}.${e.getAttribute('class') || ''}`;

function once(make) {
  const known = new Map();
  return key => {
    if (!known.has(key)) known.set(key, make(key));
    return known.get(key);
  };
}

// The theme's script follows the color scheme in its own time; colors would fade over,
// for as long as a busy machine takes, and are brought to their ends at once.
async function settled(scheme) {
  const frame = () => new Promise(requestAnimationFrame);
  const theme = () => document.documentElement.dataset.theme ?? scheme;
  for (let k = 0; k < 120 && theme() !== scheme; k++) await frame();
  await frame();
  const finite = a => a.effect.getComputedTiming().endTime < Infinity;
  for (let k = 0; k < 3; k++) {
    document.getAnimations().filter(finite).forEach(a => a.finish());
    await frame();
  }
}

async function typeset() {
  const math = all('span.math, div.math');
  if (!window.MathJax || !MathJax.startup) return {left: math.length, errors: []};
  await MathJax.startup.promise;
  const left = math.filter(m => !m.querySelector('mjx-container'));
  const bad = all('mjx-merror, [data-mjx-error]');
  return {left: left.length, errors: bad.map(b => b.textContent.slice(0, 60))};
}

function overflow() {
  const root = document.documentElement, wide = root.clientWidth;
  const by = root.scrollWidth - wide;
  const cut = e => {
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
      if (getComputedStyle(p).overflowX !== 'visible') return true;
    return false;
  };
  const beyond = e => e.getBoundingClientRect().right > wide + 1 && !cut(e);
  const culprits = by > 1 ? all('article *').filter(beyond).map(label) : [];
  return {by, culprits: culprits.slice(0, 3)};
}

// Proofs, solutions and code are folded at first: what is found with them unfolded.
function unfolded(look) {
  const boxes = all('details:not([open]), .toggle-hidden');
  const turn = open => boxes.forEach(box => {
    if (box.localName === 'details') box.open = open;
    else box.classList.toggle('toggle-hidden', !open);
  });
  turn(true);
  const seen = look();
  turn(false);
  return seen;
}

// What hides below an edge that does not scroll.
const clipped = () => unfolded(() => {
  const hidden = e => {
    const {right} = e.getBoundingClientRect();
    for (let p = e.parentElement; p; p = p.parentElement) {
      const flow = getComputedStyle(p).overflowX;
      if (flow === 'auto' || flow === 'scroll') return false;
      const edge = p.getBoundingClientRect().right;
      if (flow !== 'visible' && right > edge + 1) return true;
    }
    return right > document.documentElement.clientWidth + 1;
  };
  return all('article :is(mjx-container, table, pre, img)')
    .filter(hidden).map(e => e.textContent.trim().slice(0, 40) || e.src);
});

// Formulas that scroll, by name.
const wideMath = () => unfolded(() => all('div.math').filter(m => {
  const set = m.querySelector('mjx-container'), line = set && set.firstElementChild;
  const room = m.clientWidth + 2;
  return m.scrollWidth > room || (set && set.scrollWidth > set.clientWidth + 2)
    || (line && line.getBoundingClientRect().width > room);
}).map(m => m.id || m.previousElementSibling?.textContent.trim().slice(-40) || '?'));

// Most of a page's elements are parts of formulas and of code. For colors a formula is
// a letter, and of each kind of token in a piece of code the first is enough.
function simplify() {
  for (const formula of all('mjx-container')) formula.replaceWith('x');
  for (const code of all('.highlight pre')) {
    const kinds = new Set();
    for (const token of code.querySelectorAll('span')) {
      const kind = token.cloneNode().outerHTML;
      if (kinds.has(kind)) token.replaceWith(...token.childNodes);
      kinds.add(kind);
    }
  }
}

// Text of the article with too little contrast, by the formulas of WCAG.
function pale() {
  const parse = c => (c.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = color => {
    const [r, g, b] = color.map(v => {
      v /= 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const over = (top, base) => {
    const a = top[3] ?? 1;
    return [0, 1, 2].map(i => top[i] * a + base[i] * (1 - a));
  };
  const behind = once(e => {
    if (!e) return [255, 255, 255];
    const own = parse(getComputedStyle(e).backgroundColor);
    return over(own, (own[3] ?? 1) === 1 ? own : behind(e.parentElement));
  });
  const seen = once(e => e ? getComputedStyle(e).opacity * seen(e.parentElement) : 1);
  const bad = new Map();
  for (const e of all('article *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    if (style.visibility === 'hidden' || seen(e) === 0) continue;
    const need = size >= 24 || (size >= 18.6 && style.fontWeight >= 700) ? 3 : 4.5;
    const ink = parse(style.color);
    const front = over([...ink.slice(0, 3), (ink[3] ?? 1) * seen(e)], behind(e));
    const [a, b] = [light(front), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < need - 0.05 && !bad.has(label(e)))
      bad.set(label(e), `${ratio.toFixed(2)} ${e.textContent.trim().slice(0, 30)}`);
  }
  return bad;
}

function contrast() {
  const bad = new Map([...unfolded(pale), ...pale()]);
  return [...bad].map(([what, value]) => `${what} ${value}`).slice(0, 8);
}

// How long a chapter's page is, and of what: see `page_limits.py`. As a reader sees it
// who has unfolded nothing.
function metrics() {
  const article = document.querySelector('article');
  const {top, height} = article.getBoundingClientRect();
  const seen = e => {
    const {width, height} = e.getBoundingClientRect();
    return width >= 2 && height >= 2 && e.checkVisibility({visibilityProperty: true});
  };
  const count = text => (text.match(/[\p{L}\d][\p{L}\d'’-]*/gu) ?? []).length;
  const apart = 'div.cell, pre, script, style, noscript, nav, figure, table, .math, ' +
    'mjx-container, .headerlink, .lab';
  const words = where => {
    let sum = 0;
    const walk = document.createTreeWalker(where, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const around = walk.currentNode.parentElement;
      if (!around.closest(apart) && seen(around)) sum += count(walk.currentNode.data);
    }
    return sum;
  };
  const bold = p => p.querySelector(':scope > strong') && p.textContent.trim().length > 20;
  const lead = [...article.querySelectorAll('p')].find(bold);
  const inside = 'div.cell_input, div.highlight';
  const code = [...article.querySelectorAll(`${inside}, div.cell_output pre`)]
    .filter(e => seen(e) && !e.parentElement.closest(inside))
    .reduce((sum, e) => sum + e.getBoundingClientRect().height, 0);
  const figures = [...article.querySelectorAll('figure, img, canvas, .lab')]
    .filter(seen).map(e => e.getBoundingClientRect().top - top);
  return {
    words: words(article),
    lead: lead ? words(lead) : null,
    code: Math.round(100 * code / height),
    first: figures.length ? Math.round(Math.min(...figures)) : null,
  };
}
