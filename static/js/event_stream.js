/* Live events for a page: [data-events] names the address of its stream, which is open while the tab is visible. The page is told
   by "live:up" (changes will come), "live:change" and "live:down" (they will not: poll) on the document. */
"use strict";

const RETRY_REFUSED_MS = 30_000;
const CHANGES = ["request", "queue", "budget", "alert", "reset"];

const live = { source: null, address: "", isWanted: false, retry: null };

function eventsAddress() {
  return document.querySelector("[data-events]")?.dataset.events || "";
}

function tellPage(name) {
  document.dispatchEvent(new CustomEvent(name));
}

function closeLive() {
  if (live.source) {
    live.source.close();
    live.source = null;
    tellPage("live:down");
  }
}

/* The server lets go of clients that it has no room for; the browser tries again by itself only after a lost connection. */
function onTrouble() {
  tellPage("live:down");
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
    tellPage("live:up");
    tellPage("live:change");
  });
  live.source.addEventListener("reset", () => tellPage("live:up"));
  for (const name of CHANGES) {
    live.source.addEventListener(name, () => tellPage("live:change"));
  }
  live.source.addEventListener("interrupted", () => tellPage("live:down"));
  live.source.addEventListener("error", onTrouble);
}

/* Opens or closes the stream, so that it is the one that the page wants now; after a refusal it waits. */
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
