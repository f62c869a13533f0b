/* The playground: quotes a call, sends it to /v1/chat/completions like any client, and shows the answer as it arrives.
   The server renders the steps. */
"use strict";

const NO_ID = "00000000-0000-0000-0000-000000000000";
const HELP_OTHER = "Try again. If it fails again, tell an administrator.";

const play = { form: null, running: null, text: "" };

function part(name) {
  return document.querySelector(`[data-${name}]`);
}

function valueOf(name) {
  return play.form.elements[name].value.trim();
}

function callBody() {
  const system = valueOf("system") ? [{ role: "system", content: valueOf("system") }] : [];
  return JSON.stringify({
    model: valueOf("model"),
    messages: [...system, { role: "user", content: play.form.elements.prompt.value }],
    max_tokens: Number(valueOf("max_tokens")),
    stream: true,
    stream_options: { include_usage: true },
  });
}

function callHeaders(isDryRun) {
  const tags = valueOf("tags");
  return {
    "Content-Type": "application/json",
    "X-CSRFToken": play.form.elements.csrfmiddlewaretoken.value,
    "x-aiinfra-priority": valueOf("priority"),
    "x-aiinfra-cache": valueOf("cache"),
    "x-aiinfra-dry-run": String(isDryRun),
    ...(tags && { "x-aiinfra-tags": tags }),
  };
}

function post(isDryRun, signal) {
  return fetch(play.form.dataset.address, { method: "POST", headers: callHeaders(isDryRun), body: callBody(), signal });
}

/* Failures */

function fail(text, status, requestId) {
  const help = JSON.parse(document.getElementById("playground-help").textContent);
  part("failure-text").textContent = text;
  part("failure-help").textContent = help[status] ?? HELP_OTHER;
  part("failure-request").hidden = !requestId;
  part("failure-request").firstElementChild.href = play.form.dataset.request.replace(NO_ID, requestId);
  part("idle").hidden = true;
  part("failure").hidden = false;
}

async function failWith(response) {
  if (response.status === 401) {
    location.reload();
    return;
  }
  const body = await response.json().catch(() => null);
  fail(body?.error?.message ?? `The server answered with status ${response.status}.`, response.status, requestOf(response));
}

function requestOf(response) {
  return response.headers.get("x-aiinfra-request-id");
}

/* The quote */

function dollars(amount) {
  return amount === null ? "no budget applies" : `$${amount}`;
}

function showQuote(quote) {
  const shown = {
    most: dollars(quote.cost.most),
    expected: dollars(quote.cost.expected),
    route: `${quote.provider}/${quote.model}`,
    fallbacks: quote.fallbacks.join(", ") || "none",
    left: `${dollars(quote.budget_remaining)}${quote.fits_budget ? "" : ": not enough for this call"}`,
    position: quote.position,
  };
  for (const [name, text] of Object.entries(shown)) {
    play.form.querySelector(`[data-value=${name}]`).textContent = text;
  }
  part("send").textContent = `Send for at most ${dollars(quote.cost.most)} per attempt`;
  part("quoted").hidden = false;
  part("send").focus();
}

function forgetQuote() {
  part("quoted").hidden = true;
}

async function getQuote(event) {
  event.preventDefault();
  forgetQuote();
  part("failure").hidden = true;
  part("quote").disabled = true;
  try {
    const response = await post(true);
    await (response.ok ? response.json().then(showQuote) : failWith(response));
  } catch {
    fail("The server is not responding.", 0, null);
  } finally {
    part("quote").disabled = false;
  }
}

/* The call */

function showSteps(requestId) {
  if (requestId) {
    const address = play.form.dataset.steps.replace(NO_ID, requestId);
    htmx.ajax("GET", address, { target: "#playground-steps", swap: "outerHTML" });
  }
}

function begin() {
  forgetQuote();
  play.text = "";
  part("answer").textContent = "";
  part("answer").hidden = false;
  part("idle").hidden = true;
  part("failure").hidden = true;
  part("stop").hidden = false;
  part("quote").disabled = true;
  part("timing").textContent = "";
  part("progress").textContent = "The call was sent.";
  document.getElementById("playground-steps").replaceChildren();
  part("answer").closest("section").scrollIntoView({ block: "nearest" });
}

function end() {
  play.running = null;
  part("stop").hidden = true;
  part("quote").disabled = false;
  part("answer").hidden = !play.text;
}

async function send() {
  begin();
  const started = performance.now();
  play.running = new AbortController();
  let requestId = null;
  try {
    const response = await post(false, play.running.signal);
    requestId = requestOf(response);
    showSteps(requestId);
    await (response.ok ? showAnswer(response, started, requestId) : failWith(response));
  } catch {
    const isStopped = play.running.signal.aborted;
    fail(isStopped ? "You stopped the call." : "The connection broke.", isStopped ? "stopped" : 0, requestId);
  }
  end();
  showSteps(requestId);
}

/* The events of a stream, without its comments and its closing mark. */
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const lines = (rest + read.value).split("\n");
    rest = lines.pop();
    for (const line of lines.filter((each) => each.startsWith("data: ") && each !== "data: [DONE]")) {
      yield JSON.parse(line.slice("data: ".length));
    }
  }
}

async function showAnswer(response, started, requestId) {
  let firstMs = null;
  let usage = null;
  for await (const event of eventsOf(response)) {
    if (event.error) {
      fail(event.error.message, 502, requestId);
      return;
    }
    const text = event.choices?.[0]?.delta?.content;
    if (text) {
      firstMs ??= performance.now() - started;
      play.text += text;
      part("answer").textContent = play.text;
    }
    usage = event.usage ?? usage;
    part("timing").textContent = timing(firstMs, performance.now() - started, usage);
  }
  part("progress").textContent = "The answer is complete.";
}

function timing(firstMs, wholeMs, usage) {
  const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
  const parts = firstMs === null ? [] : [`first token after ${seconds(firstMs)}`, `${seconds(wholeMs)} in all`];
  return [...parts, ...(usage ? [`${usage.completion_tokens} tokens`] : [])].join(" · ");
}

document.addEventListener("DOMContentLoaded", () => {
  play.form = document.getElementById("playground");
  play.form.addEventListener("submit", getQuote);
  play.form.addEventListener("input", forgetQuote);
  part("send").addEventListener("click", send);
  part("stop").addEventListener("click", () => play.running?.abort());
});
