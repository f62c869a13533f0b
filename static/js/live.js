/* Refreshes pages. [data-live] regions get the event "refresh" and reload through htmx; charts get "charts:refresh".
   Pages with live events (event_stream.js) refresh on changes. Others, and those with a selected interval, poll.
   The selection is stored in the browser. Hidden tabs don't refresh. */
"use strict";

const REFRESH_KEY = "refresh";
const REFRESH_DEFAULT_S = 2;
const CHARTS_AT_MOST_EVERY_S = 5;
const CHANGES_AT_MOST_EVERY_MS = 1_000;
/* Ages, workers, and charts change without events. */
const WHILE_LIVE_S = 15;
const ON_CHANGE = "live";
/* htmx's status for "stop polling". */
const NOTHING_MORE = 286;

const lastText = new Map();
let timer = null;
let chartsAt = Date.now();
let choice = ON_CHANGE;
let isLive = false;
let isOver = false;
let changesAt = 0;
let changesTimer = null;
let pressed = null;

/* data-live="5" is the page's default interval. */
function defaultSeconds() {
  return Number(document.querySelector("[data-live]")?.dataset.live) || REFRESH_DEFAULT_S;
}

function hasEvents() {
  return Boolean(document.querySelector("[data-events]"));
}

/* "live", or seconds as a string. */
function storedChoice() {
  try {
    return localStorage.getItem(REFRESH_KEY) ?? ON_CHANGE;
  } catch {
    return ON_CHANGE;
  }
}

function storeChoice() {
  try {
    localStorage.setItem(REFRESH_KEY, choice);
  } catch {
    /* Without storage, the selection applies to this page only. */
  }
}

/* Skips regions with selected checkboxes. */
function refreshRegions() {
  for (const region of document.querySelectorAll("[data-live]")) {
    if (!region.querySelector(":checked")) {
      htmx.trigger(region, "refresh");
    }
  }
}

function refreshCharts() {
  if (Date.now() - chartsAt >= CHARTS_AT_MOST_EVERY_S * 1000 - 100) {
    chartsAt = Date.now();
    document.dispatchEvent(new CustomEvent("charts:refresh"));
  }
}

function tick() {
  changesAt = Date.now();
  if (!document.hidden && isRefreshed()) {
    refreshRegions();
    refreshCharts();
  }
}

/* Combines many changes into one refresh. */
function onChange() {
  if (changesTimer === null) {
    const wait = Math.max(0, changesAt + CHANGES_AT_MOST_EVERY_MS - Date.now());
    changesTimer = setTimeout(() => {
      changesTimer = null;
      tick();
    }, wait);
  }
}

function pollSeconds() {
  return choice === ON_CHANGE ? (isLive ? WHILE_LIVE_S : defaultSeconds()) : Number(choice);
}

function isRefreshed() {
  return pollSeconds() > 0;
}

function applyChoice() {
  const seconds = pollSeconds();
  const pressed = choice === ON_CHANGE && !hasEvents() ? String(seconds) : choice;
  clearInterval(timer);
  timer = seconds ? setInterval(tick, seconds * 1000) : null;
  showState();
  for (const menu of document.querySelectorAll("[data-refresh-menu]")) {
    menu.hidden = false;
    menu.querySelector("[data-refresh-label]").textContent = isLive ? "On change" : seconds ? `${seconds} s` : "Off";
    for (const item of menu.querySelectorAll("[data-refresh-every]")) {
      item.setAttribute("aria-pressed", String(item.dataset.refreshEvery === pressed));
      item.hidden = item.dataset.refreshEvery === ON_CHANGE && !hasEvents();
    }
  }
}

function choose(refresh) {
  choice = refresh;
  applyChoice();
  window.wantLive?.(choice === ON_CHANGE);
}

function setLive(now) {
  if (isLive !== now) {
    isLive = now;
    applyChoice();
  }
}

function say(text, isStale) {
  for (const state of document.querySelectorAll("[data-live-state]")) {
    if (state.textContent !== text) {
      state.textContent = text;
    }
    state.classList.toggle("live-stale", isStale);
  }
}

function showState() {
  say(isOver ? "Ended" : isRefreshed() ? "Live" : "Refresh is off", !isOver && !isRefreshed());
}

/* Shows the failure in the page instead of a toast for each attempt. */
function onFailure(event) {
  if (event.target.matches("[data-live]")) {
    event.stopPropagation();
    say("Not up to date: the server is not responding", true);
  }
}

function isRefresh(event) {
  return event.detail.elt.matches("[data-live]");
}

document.addEventListener("DOMContentLoaded", () => {
  choose(storedChoice());
  document.body.addEventListener("htmx:sendError", onFailure);
  document.body.addEventListener("htmx:responseError", onFailure);
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.isError) {
    return;
  }
  isOver = event.detail.xhr.status === NOTHING_MORE;
  showState();
  if (!isRefresh(event)) {
    return;
  }
  const { elt, serverResponse } = event.detail;
  /* In use, where replacing a pressed link would lose the click, or turned off while the request was in progress. */
  if (elt.querySelector(":checked") || elt.contains(pressed) || !isRefreshed()) {
    event.detail.shouldSwap = false;
    return;
  }
  const key = `${elt.id} ${elt.getAttribute("hx-get")}`;
  /* Unchanged: keep selection and focus. */
  event.detail.shouldSwap = lastText.get(key) !== serverResponse;
  lastText.set(key, serverResponse);
});

/* Replaced rows stay selected. A row that is being pressed is replaced next time. */
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  if (target.contains(pressed)) {
    event.detail.shouldSwap = false;
    lastText.clear();
  }
  for (const box of target.querySelectorAll(":checked")) {
    fragment.getElementById(box.id).checked = true;
  }
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (!isRefresh(event)) {
    lastText.clear();
  } else if (event.detail.successful) {
    showState();
  }
});

document.addEventListener("click", (event) => {
  const item = event.target.closest("[data-refresh-every]");
  if (item) {
    choose(item.dataset.refreshEvery);
    storeChoice();
    item.closest("details").open = false;
  }
});

document.addEventListener("pointerdown", (event) => {
  pressed = event.target;
});

for (const release of ["pointerup", "pointercancel"]) {
  document.addEventListener(release, () => {
    pressed = null;
  });
}

document.addEventListener("visibilitychange", () => {
  if (timer) {
    tick();
  }
});

document.addEventListener("live:up", () => setLive(true));
document.addEventListener("live:down", () => setLive(false));
document.addEventListener("live:change", onChange);
