/* Behavior of every page: theme, toasts, copying, dialogs, menus, shortcuts. Elements opt in with data attributes. */
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
    /* Without storage, the theme applies to this page only. */
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
  /* navigator.clipboard requires HTTPS. */
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
    toast("error", "Your browser blocked copying.");
  }
}

/* Clicks */

const ON_CLICK = {
  "[data-theme-toggle]": () => toggleTheme(),
  "[data-toast-close]": (element) => element.closest(".toast").remove(),
  "[data-copy], [data-copy-from]": (element) => copyFrom(element),
  "[data-dialog]": (element) => openDialog(document.querySelector(element.dataset.dialog)),
  "[data-dialog-close]": (element) => element.closest("dialog").close(),
  "[data-nav-more]": () => toggleNavigation(),
  "[data-fill]": (element) => fillIn(element),
};

/* Fills fields from `{"#id": "value"}`. The login page uses it for the demo accounts. */
function fillIn(element) {
  for (const [selector, value] of Object.entries(JSON.parse(element.dataset.fill))) {
    document.querySelector(selector).value = value;
  }
}

/* A select with data-append="#id" adds what is selected to that list, which commas separate. */
document.addEventListener("change", (event) => {
  const choice = event.target.closest("[data-append]");
  if (choice?.value) {
    const list = document.querySelector(choice.dataset.append);
    const names = list.value.split(/[,\s]+/).filter(Boolean);
    list.value = [...new Set([...names, choice.value])].join(", ");
    choice.value = "";
  }
});

/* On phones, "More" opens the whole navigation above the bar at the bottom. */
function toggleNavigation(isOpen = !document.getElementById("navigation").classList.contains("is-open")) {
  const navigation = document.getElementById("navigation");
  navigation.classList.toggle("is-open", isOpen);
  navigation.querySelector("[data-nav-more]").setAttribute("aria-expanded", String(isOpen));
}

document.addEventListener("click", (event) => {
  const navigation = document.querySelector(".sidebar.is-open");
  if (navigation && !navigation.contains(event.target)) {
    toggleNavigation(false);
  }
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

/* Close a menu that loses focus, or it would cover the element that has focus now. */
document.addEventListener("focusout", (event) => {
  const menu = event.target.closest("details.menu[open]");
  if (menu && event.relatedTarget && !menu.contains(event.relatedTarget)) {
    menu.open = false;
  }
});

/* Shortcuts: data-shortcut="g q" on a link, data-search on a field */

let chord = "";

function isTyping(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog[open]");
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if (document.querySelector(".sidebar.is-open")) {
      toggleNavigation(false);
      document.querySelector("[data-nav-more]").focus();
    }
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

/* Prevents double submission: a form's buttons are disabled while its request is in progress. */

let disabled = [];

function disableButtons(form) {
  const buttons = [...form.elements].filter((each) => each.type === "submit" && !each.disabled);
  disabled.push(...buttons);
  buttons.forEach((button) => { button.disabled = true; });
}

function enableButtons() {
  disabled.forEach((button) => { button.disabled = false; });
  disabled = [];
}

/* A form that stays on the page can be submitted again, with a new idempotency key. */
function renewKey(form) {
  const field = form?.elements.form_key;
  if (field) {
    field.value = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16)).join("");
  }
}

/* Request -> form. The response may replace the button, which then has no form. */
const sent = new WeakMap();

function formOf(event) {
  return event.detail.requestConfig?.verb === "post" ? event.detail.elt.closest("form") || event.detail.elt.form : null;
}

document.addEventListener("submit", (event) => {
  /* Deferred, because disabled buttons are not submitted. */
  if (event.target.getAttribute("method")?.toLowerCase() === "post" && !event.defaultPrevented) {
    setTimeout(() => disableButtons(event.target));
  }
});
window.addEventListener("pageshow", enableButtons);
document.addEventListener("htmx:beforeRequest", (event) => {
  const form = formOf(event);
  if (form) {
    sent.set(event.detail.xhr, form);
    disableButtons(form);
  }
});
document.addEventListener("htmx:afterRequest", (event) => {
  const form = sent.get(event.detail.xhr);
  if (form) {
    enableButtons();
    renewKey(form);
  }
});

/* Responses to htmx requests */

document.addEventListener("toast", (event) => toast(event.detail.level || "info", event.detail.text));
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  toast("error", status === 403 ? "You don't have permission to do this." : `Something went wrong (error ${status}). Try again.`);
});
document.addEventListener("htmx:sendError", () => toast("error", "The server is not responding. Check your connection and try again."));

document.addEventListener("DOMContentLoaded", () => {
  /* The navigation of staff is longer than most screens are high. */
  document.querySelector(".sidebar [aria-current='page']")?.scrollIntoView({ block: "nearest" });
  document.querySelectorAll("#toasts .toast").forEach(expire);
});
