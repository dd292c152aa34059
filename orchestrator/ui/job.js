// One act on many sagas is a job of the engine. It is followed to its end, and what has come of it is told as it goes on.
const LOOK_MS = 500;
// A dry run calls nobody: it looks at as many sagas a second as a job may.
export const DRY_PACE = 500;
// Reasons of refusals that are told: the same one mostly holds for all.
const MOST_REASONS = 3;
const CAME = [
  ["applied", "applied"],
  ["elsewhere", "parked again or ended otherwise"],
  ["before", "applied before"],
  ["accepted", "accepted, not yet applied"],
  ["refused", "refused"],
  ["failed", "failed"],
];

function jobTold(job, reasons) {
  const would = job.dryRun ? "would be " : "";
  const parts = CAME.filter(([key]) => job.counts[key] > 0).map(([key, words]) => `${job.counts[key]} ${would}${words}`);
  const state = { running: "going on", done: job.dryRun ? "nothing was done yet" : "done", cancelled: "stopped" }[job.status] || job.failure;
  const why = reasons.size > 0 ? `. ${[...reasons].join(". ")}` : "";
  return `${job.lookedAt} looked at${parts.length > 0 ? `: ${parts.join(", ")}` : ""}; ${state}${why}`;
}

async function lookAtJob(id, after) {
  const answer = await fetch(`/api/jobs/${id}?after=${after}`);
  const told = await answer.json();
  if (!answer.ok) throw new Error([told.error?.message, told.error?.hint].filter(Boolean).join(". "));
  return told;
}

// Tells how the job stands until it ends or nobody is interested any more.
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
  await fetch(`/api/jobs/${id}`, { method: "DELETE" });
}
