/* The filter of the ledger: by section, part, whose a statement is, and verdict.

   The rows say what they are by their classes; a section in which nothing is left, and
   a fold in which nothing is left, go out of sight with their rows. */
(function () {
  "use strict";
  const box = document.querySelector(".ledger-filter");
  const rows = [...document.querySelectorAll("table.ledger tbody tr")];
  if (!box || !rows.length) return;

  /** The outermost section around a row, below that of the page. */
  function chapter(row) {
    let section = row.closest("section");
    const page = document.querySelector("article section");
    while (section.parentElement.closest("section") !== page)
      section = section.parentElement.closest("section");
    return section;
  }

  const title = (section) => {
    const words = section.querySelector("h2").cloneNode(true);
    words.querySelectorAll(".headerlink").forEach((link) => link.remove());
    return words.textContent.trim();
  };
  const chapters = [...new Set(rows.map(chapter))];
  const sections = new Set(rows.map((row) => row.closest("section")).concat(chapters));
  const parts = JSON.parse(box.dataset.parts);
  const has = (name) => (row) => row.classList.contains(name);
  const CHOICES = [
    ["Paper or subject", chapters.map((c) => [title(c), (row) => chapter(row) === c])],
    ["Part", parts.map(([name, words]) => [words, has(name)])],
    [
      "Whose",
      ["theirs", "sharpened", "corrected", "ours", "known"].map((w) => [w, has(`whose-${w}`)]),
    ],
    [
      "Verdict",
      [
        ["holds, or reproduced", has("verdict-holds")],
        ["holds, with words added", has("verdict-qualified")],
        ["anything else", has("verdict-otherwise")],
      ],
    ],
  ];

  function element(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  const status = element("p", { role: "status", class: "ledger-status" });
  const selects = CHOICES.map(([label, options], k) => {
    const id = `ledger-filter-${k}`;
    const select = element("select", { id }, element("option", { value: "" }, "all"));
    options.forEach(([words], j) => select.append(element("option", { value: j }, words)));
    select.addEventListener("change", apply);
    box.append(element("div", {}, element("label", { for: id }, label), select));
    return select;
  });
  const again = element("button", { type: "button" }, "Show all rows");
  again.addEventListener("click", () => {
    selects.forEach((select) => (select.value = ""));
    apply();
  });
  box.append(element("div", { class: "ledger-told" }, status, again));

  function apply() {
    const asked = selects.flatMap((select, k) =>
      select.value === "" ? [] : [CHOICES[k][1][Number(select.value)][1]],
    );
    const left = rows.filter((row) => asked.every((test) => test(row)));
    const shown = new Set(left);
    const some = (place) => left.some((row) => place.contains(row));
    for (const row of rows) row.hidden = !shown.has(row);
    for (const section of sections) section.hidden = !some(section);
    for (const table of document.querySelectorAll("table.ledger"))
      (table.closest(".pst-scrollable-table-container") || table).hidden = !some(table);
    for (const fold of document.querySelectorAll("details.ledger-more")) {
      fold.hidden = !some(fold);
      fold.open = asked.length > 0;
    }
    again.disabled = !asked.length;
    status.textContent = asked.length
      ? `${left.length} of ${rows.length} rows`
      : `${rows.length} rows`;
  }
  apply();
})();
