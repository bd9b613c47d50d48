"use strict";
(() => {
  const tip = document.body.appendChild(document.createElement("div"));
  tip.id = "tip";
  const hide = () => tip.classList.remove("shown");
  const show = (text, x, y) => {
    tip.textContent = text;
    const left = Math.max(8, Math.min(x + 14, innerWidth - tip.offsetWidth - 8));
    const above = y - tip.offsetHeight - 12;
    tip.style.transform = `translate(${left}px, ${above > 8 ? above : y + 18}px)`;
    tip.classList.add("shown");
  };
  for (const title of document.querySelectorAll("svg title")) {
    const owner = title.parentNode;
    const text = title.textContent;
    owner.setAttribute("aria-label", text);
    title.remove();
    owner.addEventListener("pointermove", (event) => show(text, event.clientX, event.clientY));
    owner.addEventListener("pointerleave", hide);
  }
  addEventListener("scroll", hide, { passive: true });

  const order = (row, place) => {
    const cell = row.children[place];
    const raw = cell.dataset.order ?? cell.textContent;
    const number = cell.className ? NaN : parseFloat(raw);
    return raw === "null" ? Infinity : Number.isNaN(number) ? raw : number;
  };
  const compare = (a, b) => typeof a === typeof b ? (typeof a === "string" ? a.localeCompare(b) : a - b || 0) : typeof a === "string" ? 1 : -1;
  for (const button of document.querySelectorAll("table.sortable th button")) {
    button.addEventListener("click", () => {
      const head = button.parentNode;
      const place = head.cellIndex;
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = head.closest("table").tBodies[0];
      const rows = [...body.rows].sort((a, b) => compare(order(a, place), order(b, place)));
      body.append(...(down ? rows.reverse() : rows));
    });
  }

  const folder = document.querySelector(".raw-study");
  folder.hidden = false;
  folder.addEventListener("toggle", () => {
    const raw = document.getElementById("raw");
    raw.textContent ||= JSON.stringify(JSON.parse(document.getElementById("study").textContent), null, 1);
  });
})();
