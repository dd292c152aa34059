// Fetches the page again two seconds after the last answer and swaps its content, so that a reader sees sagas move without losing the scroll
// position. One request at a time: an engine that is slow is not asked more often for it. When it says later, later it is.
const REFRESH_MS = 2000;
const MOST_MS = 60000;
// Longer than the server takes for any request.
const GIVE_UP_MS = 40000;
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const ago = new Intl.RelativeTimeFormat("en", { numeric: "always" });

// How long ago, for people; exactly, by their own clock, in the title.
function tellTimes() {
  for (const time of document.querySelectorAll("main time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.valueOf())) continue;
    const seconds = Math.round((at - Date.now()) / 1000);
    const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) || UNITS.at(-1);
    time.textContent = ago.format(Math.trunc(seconds / length), unit);
    time.title = at.toLocaleString();
  }
}

async function refresh() {
  if (document.hidden || window.getSelection().toString() || document.querySelector("dialog[open]")) return REFRESH_MS;
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(GIVE_UP_MS) });
  if (!answer.ok) return 1000 * Number(answer.headers.get("retry-after") || 0);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelector("main").replaceWith(fresh.querySelector("main"));
  tellTimes();
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

tellTimes();
setTimeout(follow, REFRESH_MS, REFRESH_MS);
