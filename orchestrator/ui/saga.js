// Fetches the page again two seconds after the last answer and replaces its content, so that a reader sees changes without losing
// the scroll position. One request at a time, so a slow engine gets fewer requests; `retry-after` of the answer is honoured.
const REFRESH_MS = 2000;
const MOST_MS = 60000;
// Longer than the server takes for any request.
const GIVE_UP_MS = 40000;
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const ago = new Intl.RelativeTimeFormat("en", { numeric: "always" });

// Shows how long ago; the title has the exact local time.
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

// Where there are scripts, a slider moves through the versions of a saga.
function offerSlider() {
  const slider = document.querySelector(".look-back input");
  if (slider) slider.hidden = false;
}

document.addEventListener("input", (event) => {
  const slider = event.target.closest(".look-back input");
  if (!slider) return;
  // A refresh would replace the slider in the reader's hand.
  slider.dataset.moving = "";
  slider.parentElement.querySelector("output").textContent = `version ${slider.value} of ${slider.max}`;
});

document.addEventListener("change", async (event) => {
  const slider = event.target.closest(".look-back input");
  if (!slider) return;
  delete slider.dataset.moving;
  const at = slider.value === slider.max ? "" : `&at=${slider.value}`;
  history.replaceState(null, "", `?payloads=${slider.dataset.payloads}${at}`);
  try {
    await replaceMain();
    document.querySelector(".look-back input")?.focus();
  } catch {
    // The engine is unavailable: the next refresh shows the version.
  }
});

async function refresh() {
  if (document.hidden || window.getSelection().toString() || document.querySelector("dialog[open], .look-back input[data-moving]")) return REFRESH_MS;
  return replaceMain();
}

async function replaceMain() {
  const asked = location.href;
  const answer = await fetch(asked, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(GIVE_UP_MS) });
  if (!answer.ok) return 1000 * Number(answer.headers.get("retry-after") || 0);
  // The reader went to another version while this one was on its way.
  if (location.href !== asked) return REFRESH_MS;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelector("main").replaceWith(fresh.querySelector("main"));
  offerSlider();
  tellTimes();
  return REFRESH_MS;
}

async function follow(delay) {
  let next = Math.min(2 * delay, MOST_MS);
  try {
    next = Math.max(await refresh(), REFRESH_MS);
  } catch {
    // The engine is unavailable or slow: the delay doubles until it answers.
  }
  setTimeout(follow, next, next);
}

offerSlider();
tellTimes();
setTimeout(follow, REFRESH_MS, REFRESH_MS);
