// Acts of operators: a button names the request, the dialog asks who acts and why, and shows what came of it. The API takes JSON only, so that no
// page elsewhere can act for whoever has this one open.
const dialog = document.getElementById("act");
const form = dialog.querySelector("form");
const output = dialog.querySelector("output");
const submit = dialog.querySelector("button[type=submit]");

async function post(url, body) {
  const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const told = await answer.json();
  return { ok: answer.ok, text: answer.ok ? told.status : [told.error?.message, told.error?.hint].filter(Boolean).join(". ") };
}

function open(button) {
  form.dataset.url = button.dataset.act;
  // One id for one intention: sent again after an answer that got lost, it is not done twice.
  form.dataset.id = crypto.randomUUID();
  form.dataset.body = button.dataset.body || "{}";
  dialog.querySelector("h2").textContent = button.dataset.title;
  document.getElementById("act-says").textContent = button.dataset.says;
  form.elements.who.value = localStorage.getItem("who") || "";
  form.elements.reason.value = "";
  output.textContent = "";
  submit.textContent = button.textContent;
  submit.disabled = false;
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) open(button);
  if (event.target.value === "close") dialog.close();
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const who = form.elements.who.value.trim();
  const reason = form.elements.reason.value.trim();
  localStorage.setItem("who", who);
  submit.disabled = true;
  output.textContent = "…";
  try {
    const told = await post(form.dataset.url, { ...JSON.parse(form.dataset.body), id: form.dataset.id, who, reason });
    output.textContent = told.text;
    submit.disabled = told.ok;
  } catch {
    output.textContent = "The engine did not answer. It may have acted: send it again, it is done once.";
    submit.disabled = false;
  }
});
