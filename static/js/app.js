/* What every page does: theme, toasts, copying, dialogs, menus, shortcuts. Elements say what they want in data attributes. */
"use strict";

const TOAST_MS = 6000;
const CHORD_MS = 1000;

/* Theme */

function currentTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  return document.documentElement.dataset.theme || system;
}

function toggleTheme() {
  const theme = currentTheme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    /* It holds for this page then. */
  }
  document.dispatchEvent(new CustomEvent("themechange"));
}

/* Toasts: rendered by the server, or sent by it as `HX-Trigger: {"toast": {"level": "success", "text": "…"}}` */

function toast(level, text) {
  const template = document.getElementById("toast-template");
  const item = template.content.firstElementChild.cloneNode(true);
  item.classList.add(`toast-${level}`);
  item.querySelector("p").textContent = text;
  document.getElementById("toasts").append(item);
  expire(item);
}

function expire(item) {
  if (!item.classList.contains("toast-error")) {
    setTimeout(() => item.remove(), TOAST_MS);
  }
}

/* Copying */

async function copyText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  /* Without HTTPS browsers have no clipboard but this. */
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

async function copyFrom(button) {
  const source = document.querySelector(button.dataset.copyFrom || "");
  const label = button.querySelector("[data-copy-label]");
  try {
    await copyText(button.dataset.copy || source.textContent.trim());
    if (label) {
      label.textContent = "Copied";
      setTimeout(() => { label.textContent = "Copy"; }, 2000);
    } else {
      toast("success", "Copied.");
    }
  } catch {
    toast("error", "The browser did not allow copying.");
  }
}

/* Clicks */

const ON_CLICK = {
  "[data-theme-toggle]": () => toggleTheme(),
  "[data-toast-close]": (element) => element.closest(".toast").remove(),
  "[data-copy], [data-copy-from]": (element) => copyFrom(element),
  "[data-dialog]": (element) => openDialog(document.querySelector(element.dataset.dialog)),
  "[data-dialog-close]": (element) => element.closest("dialog").close(),
  "[data-fill]": (element) => fillIn(element),
};

/* A dialog begins at what its author marked, or at its first field, and not at the button that closes it. */
function openDialog(dialog) {
  dialog.showModal();
  dialog.querySelector("[autofocus], .dialog-body :is(input:not([type=hidden]), select, textarea)")?.focus();
}

/* Puts `{"#id": "value"}` into fields; the log-in page offers the demo people so. */
function fillIn(element) {
  for (const [selector, value] of Object.entries(JSON.parse(element.dataset.fill))) {
    document.querySelector(selector).value = value;
  }
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) {
      menu.open = false;
    }
  }
  if (event.target.matches("dialog")) {
    event.target.close();
    return;
  }
  for (const [selector, act] of Object.entries(ON_CLICK)) {
    const element = event.target.closest(selector);
    if (element) {
      act(element);
      return;
    }
  }
});

/* Shortcuts: data-shortcut="g q" on a link, data-search on a field */

let chord = "";

function isTyping(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog[open]");
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = document.querySelector("details.menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
  if (isTyping(event)) {
    return;
  }
  const target = shortcutTarget(event.key);
  if (target) {
    event.preventDefault();
    target();
  }
});

function shortcutTarget(key) {
  if (chord) {
    const link = document.querySelector(`[data-shortcut="${CSS.escape(chord)} ${CSS.escape(key)}"]`);
    chord = "";
    return link ? () => link.click() : null;
  }
  if (key === "g") {
    chord = key;
    setTimeout(() => { chord = ""; }, CHORD_MS);
  }
  const search = searchField();
  const help = document.getElementById("shortcuts");
  if (key === "/" && search) {
    return () => search.focus();
  }
  return key === "?" && help ? () => showShortcuts(help) : null;
}

/* The page's search field, or the first of its filters. */
function searchField() {
  return document.querySelector("[data-search]") ?? document.querySelector(".filters :is(input:not([type=hidden]), select)");
}

function showShortcuts(help) {
  help.querySelector("[data-shortcut-search]").hidden = !searchField();
  openDialog(help);
}

/* A form that changes something is sent once: its buttons rest while it is under way. */

let resting = [];

function rest(form) {
  const buttons = [...form.elements].filter((each) => each.type === "submit" && !each.disabled);
  resting.push(...buttons);
  buttons.forEach((button) => { button.disabled = true; });
}

function wake() {
  resting.forEach((button) => { button.disabled = false; });
  resting = [];
}

/* A form that stays on the page may be sent again after its answer: as another one. */
function renewKey(form) {
  const field = form?.elements.form_key;
  if (field) {
    field.value = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16)).join("");
  }
}

/* Request -> form: the answer may replace the button, which then no longer knows its form. */
const sent = new WeakMap();

function formOf(event) {
  return event.detail.requestConfig?.verb === "post" ? event.detail.elt.closest("form") || event.detail.elt.form : null;
}

document.addEventListener("submit", (event) => {
  /* Later: a disabled button would not be part of what is sent. */
  if (event.target.getAttribute("method")?.toLowerCase() === "post" && !event.defaultPrevented) {
    setTimeout(() => rest(event.target));
  }
});
window.addEventListener("pageshow", wake);
document.addEventListener("htmx:beforeRequest", (event) => {
  const form = formOf(event);
  if (form) {
    sent.set(event.detail.xhr, form);
    rest(form);
  }
});
document.addEventListener("htmx:afterRequest", (event) => {
  const form = sent.get(event.detail.xhr);
  if (form) {
    const { triggeringEvent, elt } = event.detail.requestConfig;
    const pressed = triggeringEvent?.submitter ?? elt;
    wake();
    renewKey(form);
    /* A disabled button loses the focus; the answer may have replaced it. */
    if (document.activeElement === document.body && pressed) {
      (pressed.isConnected ? pressed : document.getElementById(pressed.id))?.focus();
    }
  }
});

/* Server's answers through htmx */

document.addEventListener("toast", (event) => toast(event.detail.level || "info", event.detail.text));
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  toast("error", status === 403 ? "You may not do this." : `That did not work (error ${status}).`);
});
document.addEventListener("htmx:sendError", () => toast("error", "The server cannot be reached."));

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("#toasts .toast").forEach(expire);
  const open = document.querySelector("dialog[data-open]");
  if (open) {
    openDialog(open);
  }
});
