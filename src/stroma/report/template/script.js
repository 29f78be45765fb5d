"use strict";
(() => {
  const make = (name, text, more) => Object.assign(document.createElement(name), { textContent: text }, more);
  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);

  // Light and dark: the system's choice until the reader makes one.
  const root = document.documentElement;
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = make("button", "", { type: "button" });
  const name = () => { theme.textContent = dark() ? "Light" : "Dark"; theme.setAttribute("aria-label", theme.textContent + " theme"); };
  try { const kept = localStorage.getItem("stroma-theme"); if (kept) root.dataset.theme = kept; } catch { /* file: pages may have no storage */ }
  theme.onclick = () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("stroma-theme", root.dataset.theme); } catch { /* the choice lasts for this view */ }
    name();
  };
  name();
  document.getElementById("tools").append(theme);

  // Copy: commands and paths.
  each("code.copy", (code) => {
    const button = make("button", "copy", { type: "button", className: "copied" });
    button.setAttribute("aria-label", "copy " + code.textContent.slice(0, 80));
    button.onclick = () => {
      getSelection().selectAllChildren(code);
      const done = () => { button.textContent = "copied"; setTimeout(() => { button.textContent = "copy"; }, 1500); };
      if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, () => {});
      else if (document.execCommand("copy")) done();
    };
    code.after(button);
  });

  // Sort: the header of a column becomes a button.
  each("table[data-sortable]", (table) => table.querySelectorAll("thead th:not([data-fixed])").forEach((head) => {
    const column = head.cellIndex;
    const button = make("button", head.textContent, { type: "button" });
    head.replaceChildren(button);
    button.onclick = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => { const text = row.cells[column].textContent.trim(); const number = parseFloat(text.replaceAll(",", "")); return Number.isNaN(number) ? text : number; };
      const before = (a, b) => typeof a === typeof b ? (a > b) - (a < b) : typeof a === "number" ? -1 : 1;
      const rows = [...table.tBodies[0].rows].sort((a, b) => before(value(a), value(b)));
      table.tBodies[0].append(...(up ? rows : rows.reverse()));
    };
  }));

  // Mistakes of one class.
  const wrong = [...document.querySelectorAll("#mistakes .gallery > li")];
  const classes = [...new Set(wrong.map((item) => item.dataset.truth))].sort();
  if (classes.length > 1) {
    const select = make("select", "");
    select.append(new Option("every class", ""), ...classes.map((one) => new Option(one, "=" + one)));
    select.onchange = () => wrong.forEach((item) => { item.hidden = select.value !== "" && select.value !== "=" + item.dataset.truth; item.style.display = item.hidden ? "none" : ""; });
    const label = make("label", "Photos of ", { className: "filter" });
    label.append(select);
    document.querySelector("#mistakes .gallery").before(label);
  }

  // The map: a class of the legend, chosen, stands out from the others.
  const clouds = [...document.querySelectorAll("#map .chart > g")];
  const kinds = [...document.querySelectorAll("#map .legend li")].map((item) => {
    const button = make("button", "", { type: "button" });
    button.append(...item.childNodes);
    item.append(button);
    return button;
  });
  kinds.forEach((button, chosen) => {
    button.setAttribute("aria-pressed", "false");
    button.onclick = () => {
      const alone = button.getAttribute("aria-pressed") === "false";
      kinds.forEach((other) => other.setAttribute("aria-pressed", String(alone && other === button)));
      clouds.forEach((cloud, number) => { cloud.style.opacity = alone && number !== chosen ? ".1" : ""; });
    };
  });

  // The cell whose photos are open is marked; Escape closes it and gives the focus back.
  const cell = () => /^#cell-\d+-\d+$/.test(location.hash) ? document.querySelector(`#confusion a[href="${location.hash}"]`) : null;
  const mark = () => {
    each("#confusion a[aria-current]", (link) => link.removeAttribute("aria-current"));
    cell()?.setAttribute("aria-current", "true");
  };
  addEventListener("hashchange", mark);
  mark();
  addEventListener("keydown", (event) => {
    const link = event.key === "Escape" && cell();
    if (link) { location.hash = "#confusion"; link.focus(); }
  });
})();
