/* Draws every [data-figure-url] from the server's Plotly figure ({data, layout}), in the theme's colors.
   data-refresh="10" reloads it every 10 seconds while the tab is visible. */
"use strict";

const timers = new WeakMap();

const CONFIG = { displayModeBar: false, doubleClick: false };

/* Plotly only listens for resizing after a chart is drawn. */
const sizes = new ResizeObserver((entries) => entries.forEach((entry) => fit(entry.target)));

/* Resolves a custom property to a color for Plotly. The browser resolves `light-dark()` only on an element. */
function color(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  probe.style.forcedColorAdjust = "none";
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function themed(layout) {
  const line = color("--line");
  const muted = color("--text-muted");
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, tickcolor: line, automargin: true, fixedrange: true };
  const look = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: muted },
    margin: { l: 44, r: 12, t: 8, b: 32 },
    hovermode: "x unified",
    hoverlabel: { bgcolor: color("--surface-raised"), bordercolor: line, font: { color: color("--text") } },
    legend: { orientation: "h", y: -0.2, font: { color: muted } },
    autosize: true,
  };
  const axes = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
  const styled = Object.fromEntries([...axes, "xaxis", "yaxis"].map((key) => [key, { ...axis, ...layout[key] }]));
  return { ...look, ...layout, ...styled };
}

/* Replaces "var(--series-1)" in a trace by the theme's color. */
function colored(value) {
  if (typeof value === "string") {
    const match = value.match(/^var\((--[a-z0-9-]+)\)$/);
    return match ? color(match[1]) : value;
  }
  if (Array.isArray(value)) {
    return value.map(colored);
  }
  return value && typeof value === "object"
    ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, colored(inner)]))
    : value;
}

function setState(element, state, text = "") {
  element.dataset.state = state;
  let note = element.querySelector(":scope > .chart-state");
  if (!note) {
    note = document.createElement("div");
    note.className = "chart-state";
    note.setAttribute("role", "status");
    element.append(note);
  }
  note.textContent = text;
}

function plotOf(element) {
  let plot = element.querySelector(":scope > .chart-plot");
  if (!plot) {
    plot = document.createElement("div");
    plot.className = "chart-plot";
    plot.style.height = "100%";
    element.prepend(plot);
  }
  return plot;
}

function isEmpty(figure) {
  return !figure.data.some((trace) => ["x", "y", "values", "z"].some((key) => trace[key] && trace[key].length));
}

function fit(element) {
  const plot = plotOf(element);
  if (element.dataset.state === "drawn" && plot._fullLayout?.width !== plot.clientWidth) {
    Plotly.Plots.resize(plot);
  }
}

async function paint(element) {
  const figure = element.figure;
  if (!figure) {
    return;
  }
  if (isEmpty(figure)) {
    Plotly.purge(plotOf(element));
    setState(element, "empty", element.dataset.empty || "Nothing to show yet.");
    return;
  }
  await Plotly.react(plotOf(element), colored(figure.data), themed(colored(figure.layout || {})), CONFIG);
  plotOf(element).removeAllListeners("plotly_click");
  plotOf(element).on("plotly_click", follow);
  setState(element, "drawn");
  fit(element);
  sizes.observe(element);
}

/* Opens the URL of a point whose customdata is [text, URL]. */
function follow(event) {
  const address = event.points.map((point) => point.customdata?.[1]).find((each) => each?.startsWith?.("/"));
  if (address) {
    location.assign(address);
  }
}

async function load(element) {
  if (!element.figure) {
    setState(element, "loading", "Loading…");
  }
  try {
    const response = await fetch(element.dataset.figureUrl, {
      headers: { Accept: "application/json", "X-Organization": document.body.dataset.organization },
    });
    const elsewhere = response.headers.get("HX-Redirect");
    if (elsewhere) {
      location.assign(elsewhere);
      return;
    }
    if (!response.ok) {
      throw new Error(`error ${response.status}`);
    }
    element.figure = await response.json();
    await paint(element);
  } catch (error) {
    setState(element, "error", `Could not load this chart (${error.message}).`);
  }
}

/* The timer ends once the chart is no longer in the document. */
function keepFresh(element) {
  const seconds = Number(element.dataset.refresh);
  if (!seconds || timers.has(element)) {
    return;
  }
  const timer = setInterval(() => {
    if (!element.isConnected) {
      clearInterval(timer);
    } else if (!document.hidden) {
      load(element);
    }
  }, seconds * 1000);
  timers.set(element, timer);
}

function start(root) {
  const found = [...root.querySelectorAll("[data-figure-url]")];
  if (root.matches && root.matches("[data-figure-url]")) {
    found.push(root);
  }
  for (const element of found) {
    if (!element.dataset.state) {
      load(element);
      keepFresh(element);
    }
  }
}

function each(act) {
  document.querySelectorAll("[data-figure-url]").forEach(act);
}

document.addEventListener("DOMContentLoaded", () => start(document));
document.addEventListener("htmx:load", (event) => start(event.detail.elt));
document.addEventListener("htmx:beforeCleanupElement", (event) => {
  event.target.querySelectorAll?.(".chart-plot").forEach((plot) => Plotly.purge(plot));
});
document.addEventListener("charts:refresh", () => each(load));
document.addEventListener("themechange", () => each(paint));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => each(paint));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    each((element) => element.dataset.refresh && load(element));
  }
});

/* Print tables instead of charts. Printing does not wait, so the tables are loaded synchronously. */
function fillTable(place) {
  const request = new XMLHttpRequest();
  request.open("GET", place.getAttribute("hx-get"), false);
  request.setRequestHeader("HX-Request", "true");
  request.send();
  if (request.status === 200) {
    place.innerHTML = request.responseText;
  }
}

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll(".chart-table:not([open])")) {
    fillTable(details.querySelector("[hx-get]"));
    details.dataset.printed = "";
    details.open = true;
  }
});

addEventListener("afterprint", () => {
  for (const details of document.querySelectorAll(".chart-table[data-printed]")) {
    delete details.dataset.printed;
    details.open = false;
  }
});
