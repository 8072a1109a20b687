"use strict";
(() => {
  const framed = window.parent !== window;

  // The frame may not leave itself: a link to a page of Airflow is followed by Airflow's own document.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[target="_top"]');
    if (!link || !framed) return;
    event.preventDefault();
    const twin = parent.document.createElement("a");
    twin.href = link.href;
    const { ctrlKey, metaKey, shiftKey } = event;
    twin.dispatchEvent(new MouseEvent("click", { cancelable: true, ctrlKey, metaKey, shiftKey }));
  });

  const value = (row, column) => {
    const cell = row.cells[column];
    const key = cell.dataset.sort;
    return key === undefined ? cell.textContent.trim().toLowerCase() : key === "" ? null : Number(key);
  };

  const sort = (head) => {
    const table = head.closest("table");
    const [first, other] = head.dataset.first === "down" ? ["descending", "ascending"] : ["ascending", "descending"];
    const order = head.getAttribute("aria-sort") === first ? other : first;
    table.querySelectorAll("[aria-sort]").forEach((sorted) => sorted.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const column = head.cellIndex;
    const keyed = [...table.tBodies[0].rows].map((row) => [value(row, column), row]);
    keyed.sort(([a], [b]) => {
      if (a === b) return 0;
      if (a === null) return 1; // what is not known comes last, either way
      if (b === null) return -1;
      return (a < b ? -1 : 1) * (order === "ascending" ? 1 : -1);
    });
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  };

  document.addEventListener("DOMContentLoaded", () => {
    const field = document.getElementById("filter");
    if (!field) return;
    const told = document.getElementById("told");
    const press = (buttons, pressed) =>
      buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === pressed)));
    const chips = [...document.querySelectorAll(".chip")];
    const views = [...document.querySelectorAll(".views button")];
    let tag = "";

    const apply = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      document.querySelectorAll("section").forEach((section) => {
        const rows = [...section.querySelectorAll("tbody tr")];
        let shown = 0;
        rows.forEach((row) => {
          const fits = words.every((word) => row.dataset.text.includes(word))
            && (!tag || row.dataset.tags.split(" ").includes(tag));
          row.hidden = !fits;
          shown += fits;
        });
        section.querySelector(".empty").hidden = shown > 0;
        if (!section.hidden) told.textContent = `${shown} of ${rows.length} shown`;
      });
    };

    field.addEventListener("input", apply);
    chips.forEach((chip) => chip.addEventListener("click", () => {
      tag = chip.dataset.tag === tag ? "" : chip.dataset.tag;
      press(chips, chips.find((other) => other.dataset.tag === tag));
      apply();
    }));
    views.forEach((button) => button.addEventListener("click", () => {
      press(views, button);
      document.querySelectorAll("section").forEach((section) => { section.hidden = section.id !== button.dataset.view; });
      apply();
    }));
    document.querySelectorAll("thead button").forEach((button) =>
      button.addEventListener("click", () => sort(button.closest("th"))));
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && document.activeElement !== field) {
        event.preventDefault();
        field.focus();
      } else if (event.key === "Escape" && document.activeElement === field) {
        field.value = "";
        apply();
      }
    });
  });
})();
