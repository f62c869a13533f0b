/* Live events for a page. [data-events] is the URL of the stream, which is open while the tab is visible. Dispatches
   "live:up" (connected), "live:change", and "live:down" (not connected: poll) on the document. */
"use strict";

const RETRY_REFUSED_MS = 30_000;
const CHANGES = ["request", "queue", "budget", "alert", "reset"];

const live = { source: null, address: "", isWanted: false, retry: null };

function eventsAddress() {
  return document.querySelector("[data-events]")?.dataset.events || "";
}

function notifyPage(name) {
  document.dispatchEvent(new CustomEvent(name));
}

function closeLive() {
  if (live.source) {
    live.source.close();
    live.source = null;
    notifyPage("live:down");
  }
}

/* A full server rejects clients. Browsers reconnect after a lost connection but not after a rejection. */
function onError() {
  notifyPage("live:down");
  if (live.source?.readyState === EventSource.CLOSED) {
    live.source = null;
    live.retry = setTimeout(forgetRefusal, RETRY_REFUSED_MS);
  }
}

function forgetRefusal() {
  clearTimeout(live.retry);
  live.retry = null;
  syncLive();
}

function openLive() {
  live.address = eventsAddress();
  live.source = new EventSource(live.address);
  live.source.addEventListener("ready", () => {
    notifyPage("live:up");
    notifyPage("live:change");
  });
  live.source.addEventListener("reset", () => notifyPage("live:up"));
  for (const name of CHANGES) {
    live.source.addEventListener(name, () => notifyPage("live:change"));
  }
  live.source.addEventListener("alert", () => tellPage("alerts-changed"));
  live.source.addEventListener("interrupted", () => notifyPage("live:down"));
  live.source.addEventListener("error", onError);
}

/* Opens or closes the stream as the page needs it. Waits after a rejection. */
function syncLive() {
  const address = live.isWanted && !document.hidden ? eventsAddress() : "";
  if (live.source && live.address !== address) {
    closeLive();
  }
  if (!live.source && address && live.retry === null) {
    openLive();
  }
}

function wantLive(isWanted) {
  live.isWanted = isWanted;
  forgetRefusal();
}

document.addEventListener("visibilitychange", syncLive);
document.addEventListener("htmx:afterSettle", syncLive);
addEventListener("pagehide", closeLive);
addEventListener("pageshow", syncLive);
