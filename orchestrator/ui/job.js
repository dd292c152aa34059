// One act on many sagas is a job of the engine. The page follows the job to its end and shows its results.
const LOOK_MS = 500;
// A dry run calls no participant: it uses the maximum pace of a job.
export const DRY_PACE = 500;
// Different reasons of refusals that are shown: most refusals of a job have the same reason.
const MOST_REASONS = 3;
const CAME = [
  ["applied", "applied"],
  ["elsewhere", "applied and parked again, or ended in another status"],
  ["before", "applied before"],
  ["accepted", "accepted, not yet applied"],
  ["refused", "refused"],
  ["failed", "failed"],
];

function jobTold(job, reasons) {
  const would = job.dryRun ? "would be " : "";
  const parts = CAME.filter(([key]) => job.counts[key] > 0).map(([key, words]) => `${job.counts[key]} ${would}${words}`);
  const state = { running: "running", done: job.dryRun ? "nothing was changed" : "done", cancelled: "stopped" }[job.status] || job.failure;
  const why = reasons.size > 0 ? `. ${[...reasons].join(". ")}` : "";
  return `${job.lookedAt} sagas${parts.length > 0 ? `: ${parts.join(", ")}` : ""}; ${state}${why}`;
}

async function lookAtJob(id, after) {
  const answer = await fetch(`/api/jobs/${id}?after=${after}`);
  const told = await answer.json();
  if (!answer.ok) throw new Error([told.detail, told.hint].filter(Boolean).join(". "));
  return told;
}

// Shows the state of the job until it ends or `isWanted` returns false.
export async function followJob(id, tell, isWanted) {
  const reasons = new Set();
  let after = 0;
  while (isWanted()) {
    const { job, items, next } = await lookAtJob(id, after);
    after = next;
    for (const { message } of items) if (message && reasons.size < MOST_REASONS) reasons.add(message);
    tell(jobTold(job, reasons));
    if (job.status !== "running") return job;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return undefined;
}

export async function stopJob(id) {
  const session = await fetch("/api/session");
  const { pageToken } = session.ok ? await session.json() : {};
  await fetch(`/api/jobs/${id}`, { method: "DELETE", headers: pageToken ? { "x-csrf-token": pageToken } : {} });
}
