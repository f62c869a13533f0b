// What a program with OpenAI's SDK for Node does; prints what it saw as JSON. BASE_URL, API_KEY, and what to do: an
// answer of every kind, or an error with the number of requests that it took.
import OpenAI from "openai";

const model = "gpt-4";
const messages = [{ role: "user", content: "How do I plan a garden?" }];
const others = [{ role: "user", content: "How do I sail?" }];
const schema = { type: "object", properties: { a: { type: "integer" } }, required: ["a"], additionalProperties: false };
let requests = 0;
const client = new OpenAI({
  baseURL: `${process.env.BASE_URL}/v1`,
  apiKey: process.env.API_KEY,
  fetch: (...given) => ++requests && fetch(...given),
});

async function chat() {
  const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
  return { text: data.choices[0].message.content, tokens: data.usage.total_tokens, cost: response.headers.get("x-cost") };
}

async function stream() {
  const stream = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
  const whole = await stream.finalChatCompletion();
  return { text: whole.choices[0].message.content, reason: whole.choices[0].finish_reason };
}

async function parts() {
  const content = [
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
  ];
  const response_format = { type: "json_schema", json_schema: { name: "n", strict: true, schema } };
  const tools = [{ type: "function", function: { name: "add", parameters: schema } }];
  const asked = { model, messages: [{ role: "user", content }], response_format, tools };
  return (await client.chat.completions.create(asked)).object;
}

async function embeddings() {
  const { data } = await client.embeddings.create({ model: "text-embedding-3-small", input: ["a", "b"] });
  return data.map((each) => each.embedding.length);
}

async function responses() {
  const whole = await client.responses.create({ model, input: "How do I sail?" });
  const streamed = await client.responses.stream({ model, input: "How do I sail?" }).finalResponse();
  return { whole: whole.output_text, streamed: streamed.output_text };
}

async function models() {
  const names = [];
  for await (const each of client.models.list()) names.push(each.id);
  return names;
}

async function answers() {
  const found = {};
  for (const each of [chat, stream, parts, embeddings, responses, models]) found[each.name] = await each();
  return found;
}

async function failure(asked, options) {
  requests = 0;
  try {
    await client.chat.completions.create(asked, options);
    return null;
  } catch (error) {
    return { status: error.status, code: error.code, requests };
  }
}

async function conflict() {
  const options = { headers: { "Idempotency-Key": "node-1" } };
  await client.chat.completions.create({ model, messages }, options);
  return failure({ model, messages: others }, options);
}

async function broken() {
  const stream = await client.chat.completions.create({ model, messages, stream: true });
  let text = "";
  requests = 0;
  try {
    for await (const chunk of stream) text += chunk.choices[0].delta.content ?? "";
    return null;
  } catch (error) {
    return { began: text !== "", isApiError: error instanceof OpenAI.APIError, code: error.code, requests };
  }
}

async function brokenResponse() {
  const stream = await client.responses.create({ model, input: "How do I plan a garden?", stream: true });
  requests = 0;
  const seen = [];
  for await (const event of stream) seen.push(event);
  const last = seen.at(-1);
  const numbers = seen.map((event) => event.sequence_number);
  return { last: last.type, says: Boolean(last.response.error.message), gaps: numbers.some((n, i) => n !== i), requests };
}

async function hangUp() {
  const stream = await client.chat.completions.create({ model, messages, stream: true });
  const text = [];
  for await (const chunk of stream) {
    text.push(chunk.choices[0].delta.content ?? "");
    if (text.join("")) break; // the SDK then closes the connection
  }
  return { aborted: stream.controller.signal.aborted, began: true, requests };
}

const tasks = { answers, broken, brokenResponse, conflict, hangUp, failure: () => failure({ model, messages: others }, {}) };
console.log(JSON.stringify(await tasks[process.argv[2]]()));
