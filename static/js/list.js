/* Lists: their filters' addresses, and the boxes that select rows. */
"use strict";

/* Addresses stay short: a filter that is not set is not in them. */
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt.matches("[data-drop-empty]")) {
    for (const [name, value] of Object.entries(event.detail.parameters)) {
      if (value === "") {
        delete event.detail.parameters[name];
      }
    }
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-tick-all]")) {
    for (const box of event.target.form.querySelectorAll("[name=id]")) {
      box.checked = event.target.checked;
    }
  }
});

/* Enter in a selected box would press the form's first button, and that one cancels. */
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("[type=checkbox]")) {
    event.preventDefault();
  }
});
