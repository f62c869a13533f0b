/* Moves focus: to the first error of a form, into a dialog and back, and to the same place after htmx has replaced it. */
"use strict";

const FIELD = "input:not([type=hidden]):not(:disabled), select:not(:disabled), textarea:not(:disabled)";
const CONTROL = `${FIELD}, button:not(:disabled), a[href], summary`;
const PROBLEM = "[data-form-errors], [aria-invalid='true']";

function focusOn(element) {
  if (!element.matches(`${CONTROL}, [tabindex]`)) {
    element.tabIndex = -1;
  }
  element.focus();
}

/* The summary of a form's errors, or its first invalid field. */
function focusProblem(root) {
  const problem = [...root.querySelectorAll(PROBLEM)].find((each) => each.checkVisibility());
  if (problem) {
    focusOn(problem);
  }
  return Boolean(problem);
}

/* Dialogs: focus returns to the button that opened one, even if the page was refreshed in the meantime. */

const openers = new WeakMap();

/* Focuses the first error, the [autofocus] element, or the first control instead of the close button. */
function openDialog(dialog) {
  openers.set(dialog, document.activeElement);
  dialog.showModal();
  if (!focusProblem(dialog)) {
    const body = dialog.querySelector(".dialog-body") ?? dialog;
    focusOn(dialog.querySelector("[autofocus]") ?? body.querySelector(FIELD) ?? body.querySelector(CONTROL) ?? body);
  }
}

document.addEventListener(
  "close",
  (event) => {
    const opener = openers.get(event.target);
    if (opener && document.activeElement === document.body) {
      focusAgain(placeOf(opener));
    }
  },
  true,
);

/* Swaps */

/* Identifies an element: after a swap, the same one has the same name. */
function nameOf(element) {
  const { tagName, id, name, value } = element;
  return id || [tagName, element.getAttribute("href"), name, value, element.ariaLabel, element.textContent.trim()].join("|");
}

/* An element, and the IDs around it, innermost first. */
function placeOf(element) {
  const around = [];
  for (let each = element.parentElement; each; each = each.parentElement) {
    if (each.id) {
      around.push(each.id);
    }
  }
  return { element, name: nameOf(element), tag: element.tagName, around };
}

/* Focuses the element, its replacement, or the first control of the nearest container that still exists. */
function focusAgain(place) {
  const around = place.around.map((id) => document.getElementById(id)).find((each) => each);
  const inside = around ?? document.getElementById("main");
  const same = place.element.isConnected && !place.element.disabled
    ? place.element
    : [...inside.querySelectorAll(place.tag)].find((each) => nameOf(each) === place.name);
  focusOn(same ?? inside.querySelector("button:not(:disabled), select") ?? inside.querySelector(CONTROL) ?? inside);
}

/* Request -> the place that had focus when it was sent. */
const places = new WeakMap();

function notePlace(event) {
  const focused = document.activeElement;
  const pressed = event.detail.requestConfig?.triggeringEvent?.submitter;
  const from = focused === document.body ? pressed : focused;
  if (from && from !== document.body) {
    places.set(event.detail.xhr, placeOf(from));
  }
}

/* In the capture phase: before the form's buttons are disabled and lose focus. */
document.addEventListener("htmx:beforeRequest", notePlace, true);
document.addEventListener("htmx:beforeSwap", (event) => {
  if (document.activeElement !== document.body) {
    places.set(event.detail.xhr, placeOf(document.activeElement));
  }
});
document.addEventListener("htmx:afterRequest", (event) => {
  const { xhr, target } = event.detail;
  const place = places.get(xhr);
  if (xhr.status === 422 && focusProblem(document.getElementById(target?.id) ?? document)) {
    return;
  }
  if (place && document.activeElement === document.body && !document.querySelector("dialog[open]")) {
    focusAgain(place);
  }
});

document.addEventListener("DOMContentLoaded", () => {
  const open = document.querySelector("dialog[data-open]");
  if (open) {
    openDialog(open);
  } else {
    focusProblem(document);
  }
});
