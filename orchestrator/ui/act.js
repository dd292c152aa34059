// Acts of operators: a button names the request, the dialog asks for name and reason, and shows the result. The API takes
// JSON only, so that a page of another site cannot act through a browser that has this page open.
import { DRY_PACE, followJob, stopJob } from "./job.js";
import { visible } from "./visible.js";

const dialog = document.getElementById("act");
const form = dialog.querySelector("form");
const output = dialog.querySelector("output");
const submit = dialog.querySelector("button[type=submit]");
const stop = dialog.querySelector("button[value=stop]");

// The running job of the dry run of an act on many sagas.
let dryJob;

// How long an act on a saga waits for its result.
const WAIT_MS = 3000;

// Random, also if the page was loaded without TLS, where `crypto.randomUUID` does not exist.
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function tell(text) {
  output.textContent = visible(text);
}

// Who is logged in, and the token with which the engine knows that a request is of its own page. Without a login both are absent.
async function session() {
  const answer = await fetch("/api/session");
  return answer.ok ? answer.json() : {};
}

async function post(url, body) {
  const { who, pageToken } = await session();
  const headers = { "content-type": "application/json", ...(pageToken ? { "x-csrf-token": pageToken } : {}) };
  // With a login, the login says who acts.
  const sent = who ? { ...body, who } : body;
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(sent) });
  const told = await answer.json();
  return { ok: answer.ok, told, text: answer.ok ? came(told) : [told.detail, told.hint].filter(Boolean).join(". ") };
}

function came({ status, now, job }) {
  if (job) return "…";
  return now ? `${status}; now ${[now.status, now.reason].filter(Boolean).join(": ")}` : status;
}

function prospect({ status, starts = [], undoes = [], leaves = [] }) {
  const steps = [["starts", starts], ["undoes", undoes], ["does not undo", leaves]];
  const parts = steps.filter(([, names]) => names.length > 0).map(([what, names]) => `${what} ${names.join(", ")}`);
  return `The act would lead to: ${[status, ...parts].join("; ")}.`;
}

function isJob() {
  return form.dataset.url === "/api/jobs";
}

// Asks the engine what the act would lead to. An act that the engine would refuse cannot be sent.
async function foresee() {
  const { id } = form.dataset;
  const isWanted = () => dialog.open && form.dataset.id === id;
  const dry = { ...JSON.parse(form.dataset.body), who: "page", reason: "dry run", dryRun: true };
  const { ok, told, text } = await post(form.dataset.url, isJob() ? { ...dry, pace: DRY_PACE } : dry);
  if (!isWanted()) return;
  submit.disabled = !ok;
  tell(ok && told.leadsTo ? prospect(told.leadsTo) : text);
  if (ok && told.job) await foreseeJob(told.job.id, isWanted);
}

async function foreseeJob(id, isWanted) {
  dryJob = id;
  const ended = await followJob(id, (text) => isWanted() && tell(text), () => isWanted() && dryJob === id);
  if (ended) submit.disabled = ended.lookedAt === 0;
  else await stopJob(id);
  if (dryJob === id) dryJob = undefined;
}

// Follows the job and offers to stop it. The job goes on when the dialog is closed.
async function follow(job) {
  const { id } = form.dataset;
  const isWanted = () => dialog.open && form.dataset.id === id;
  stop.hidden = false;
  stop.dataset.job = job.id;
  await followJob(job.id, (text) => isWanted() && tell(text), isWanted);
  if (isWanted()) stop.hidden = true;
}

function open(button) {
  form.dataset.url = button.dataset.act;
  // One id for one intention: sent again after a lost answer, the act is not done twice.
  form.dataset.id = newId();
  form.dataset.body = button.dataset.body || "{}";
  form.dataset.waits = "dry" in button.dataset ? JSON.stringify({ waitMs: WAIT_MS }) : "{}";
  dialog.querySelector("h2").textContent = button.dataset.title;
  document.getElementById("act-says").textContent = button.dataset.says;
  form.elements.who.value = localStorage.getItem("who") || "";
  session().then(({ who }) => {
    if (who) form.elements.who.value = who;
    form.elements.who.readOnly = Boolean(who);
  }, () => {});
  form.elements.reason.value = "";
  output.textContent = "";
  submit.textContent = button.textContent;
  submit.disabled = false;
  stop.hidden = true;
  form.elements.pace.closest("label").hidden = !isJob();
  form.elements.pace.disabled = !isJob();
  dialog.showModal();
  if ("dry" in button.dataset || isJob()) foresee().catch(() => {});
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) open(button);
  if (event.target.value === "close") dialog.close();
  if (event.target.value === "stop") stopJob(event.target.dataset.job).catch(() => {});
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const who = form.elements.who.value.trim();
  const reason = form.elements.reason.value.trim();
  localStorage.setItem("who", who);
  submit.disabled = true;
  dryJob = undefined;
  output.textContent = "…";
  try {
    const { url, id, body, waits } = form.dataset;
    const pace = isJob() ? { pace: Number(form.elements.pace.value) } : {};
    const { ok, told, text } = await post(url, { ...JSON.parse(body), ...JSON.parse(waits), ...pace, id, who, reason });
    tell(text);
    submit.disabled = ok;
    if (ok && told.job) await follow(told.job);
  } catch {
    output.textContent = "The engine did not answer. It may have done the act. Send it again: the act is done only once.";
    submit.disabled = false;
  }
});
