/* What pages can do beyond links and forms: tell of news, search while one types, and be used from the keyboard.
   Nothing here is needed to read them. */
"use strict";

const pause = (milliseconds, run) => {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(run, milliseconds, ...given);
  };
};

async function page(address, signal) {
  const answer = await fetch(address, { headers: { Accept: "text/html" }, signal });
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/* News: the server says that something has changed; what is new is counted here, and shown when one asks for it. */
function live() {
  const list = document.querySelector("[data-live]");
  if (!list || !window.EventSource) return;
  const bar = list.querySelector(".news");
  let version = list.dataset.version;
  let fresh = null;
  const look = pause(1000, async () => {
    try {
      fresh = (await page(location.href)).querySelector("[data-live]");
    } catch {
      return; // the next event is another try
    }
    const known = new Set(Array.from(list.querySelectorAll("[data-story]"), (one) => one.dataset.story));
    const found = Array.from(fresh.querySelectorAll("[data-story]")).filter((one) => !known.has(one.dataset.story));
    version = fresh.dataset.version;
    if (!found.length) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${found.length} new – show`;
    button.addEventListener("click", show);
    bar.replaceChildren(button);
    bar.hidden = false;
  });
  const show = () => {
    list.replaceChildren(...fresh.childNodes);
    list.dataset.version = version;
    scrollTo(0, 0);
    document.getElementById("main").focus();
    source.close();
    live();
  };
  const source = new EventSource(list.dataset.live);
  source.addEventListener("message", (event) => event.data !== version && look());
}

/* Search: what is found follows what is typed; the address in the bar stays that of the page one sees. */
function searching() {
  const form = document.querySelector("[data-hits]");
  const hits = document.getElementById("hits");
  if (!form || !hits) return;
  let asking = new AbortController();
  let shown = "";
  const ask = async () => {
    const given = new URLSearchParams(Array.from(new FormData(form)).filter(([, value]) => value));
    if (String(given) === shown) return;
    shown = String(given);
    asking.abort();
    asking = new AbortController();
    hits.setAttribute("aria-busy", "true");
    try {
      const found = await page(`${form.dataset.hits}?${given}`, asking.signal);
      hits.replaceChildren(...found.body.childNodes);
      history.replaceState(null, "", `${form.getAttribute("action")}?${given}`);
    } catch (error) {
      if (error.name === "AbortError") return;
      shown = "";
      const notice = document.createElement("p");
      notice.className = "notice";
      notice.textContent = "The server does not answer. What stands here is from before.";
      hits.querySelector(":scope > p.notice")?.remove();
      hits.prepend(notice);
    }
    hits.removeAttribute("aria-busy");
  };
  form.addEventListener("input", pause(180, ask));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
}

/* Keys: j and k go through the list, / leads to the search. */
function keys() {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      document.getElementById("find")?.focus();
      event.preventDefault();
    } else if (event.key === "j" || event.key === "k") {
      const entries = Array.from(document.querySelectorAll(".list article"));
      const here = entries.indexOf(document.activeElement.closest("article"));
      const next = entries[event.key === "j" ? here + 1 : Math.max(here, 1) - 1];
      next?.querySelector("a, summary")?.focus();
    }
  });
}

live();
searching();
keys();
