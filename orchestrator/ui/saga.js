// Fetches the page again two seconds after the last answer and swaps its content, so that a reader sees sagas move without losing the scroll
// position. One request at a time: an engine that is slow is not asked more often for it. When it says later, later it is.
const REFRESH_MS = 2000;
const MOST_MS = 60000;
// Longer than the server takes for any request.
const GIVE_UP_MS = 40000;

async function refresh() {
  if (document.hidden || window.getSelection().toString()) return REFRESH_MS;
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(GIVE_UP_MS) });
  if (!answer.ok) return 1000 * Number(answer.headers.get("retry-after") || 0);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelector("main").replaceWith(fresh.querySelector("main"));
  return REFRESH_MS;
}

async function follow(rest) {
  let next = Math.min(2 * rest, MOST_MS);
  try {
    next = Math.max(await refresh(), REFRESH_MS);
  } catch {
    // The engine is away or slow: it is asked less and less often until it answers.
  }
  setTimeout(follow, next, next);
}

setTimeout(follow, REFRESH_MS, REFRESH_MS);
