// Fetches the page again every two seconds and swaps its content, so that a reader sees sagas move without losing the scroll position.
const REFRESH_MS = 2000;

async function refresh() {
  if (!document.hidden && !window.getSelection().toString()) {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelector("main").replaceWith(fresh.querySelector("main"));
    }
  }
}

setInterval(() => refresh().catch(() => {}), REFRESH_MS);
