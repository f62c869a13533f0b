/* Lists: wide tables, filter URLs, selection boxes, rows that update in place, and ages that count up. */
"use strict";

/* Let a table that is wider than its card scroll inside it. Its header then does not stay in view. */
function fitTable(wrap) {
  wrap.classList.remove("table-scroll");
  wrap.classList.toggle("table-scroll", wrap.scrollWidth > wrap.clientWidth + 1);
}

const wraps = new ResizeObserver((entries) => entries.forEach((entry) => fitTable(entry.target)));

function fitTables() {
  for (const wrap of document.querySelectorAll(".table-wrap")) {
    fitTable(wrap);
    wraps.observe(wrap);
  }
}

document.addEventListener("DOMContentLoaded", fitTables);
document.addEventListener("htmx:afterSettle", fitTables);

/* Leaves unset filters out of the URL. */
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt.matches("[data-drop-empty]")) {
    for (const [name, value] of Object.entries(event.detail.parameters)) {
      if (value === "") {
        delete event.detail.parameters[name];
      }
    }
  }
});

/* [data-rows-of] requests changed rows only: it sends the shown rows and their versions. */
document.addEventListener("htmx:configRequest", (event) => {
  const list = event.detail.elt.dataset.rowsOf;
  if (list) {
    const rows = [...document.querySelectorAll(`${list} [data-version]`)];
    event.detail.parameters.rows = rows.map((row) => `${row.dataset.row}.${row.dataset.version}`).join(",");
  }
});

/* Leave downloads to the browser: htmx would swap the file into the page. */
document.addEventListener(
  "submit",
  (event) => {
    if (event.submitter?.matches("[data-plain]")) {
      event.stopImmediatePropagation();
    }
  },
  true,
);

/* Same format as the template filter `age`. */
const AGE_UNITS = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];

function ageOf(moment) {
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(moment)) / 1000));
  const [length, unit] = AGE_UNITS.find(([length]) => seconds >= length) ?? AGE_UNITS.at(-1);
  return `${Math.floor(seconds / length)} ${unit}`;
}

setInterval(() => {
  for (const time of document.querySelectorAll("time[data-age]")) {
    const age = ageOf(time.dateTime);
    if (time.textContent !== age) {
      time.textContent = age;
    }
  }
}, 1_000);

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-tick-all]")) {
    for (const box of event.target.form.querySelectorAll("[name=id]")) {
      box.checked = event.target.checked;
    }
  }
});

/* Enter in a checkbox would press the form's first button, which cancels. */
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("[type=checkbox]")) {
    event.preventDefault();
  }
});
