// The page's own script: ages, the live connection, theme, acts on incidents, keyboard. No eval, no inline styles.
(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);

  // Ages: the server sends absolute times; how long ago is counted here, by the server's clock.
  const skew = Number(document.body.dataset.now) - Date.now() / 1000;
  const age = (seconds) => {
    const s = Math.max(0, Math.round(seconds));
    if (s < 60) return `${s}s`;
    if (s < 3600) return `${Math.floor(s / 60)}m`;
    if (s < 172800) return `${Math.floor(s / 3600)}h`;
    return `${Math.floor(s / 86400)}d`;
  };
  const tellAges = () => {
    const now = Date.now() / 1000 + (Math.abs(skew) > 2 ? skew : 0);
    for (const time of document.querySelectorAll("time[data-at]")) {
      const text = age(now - Number(time.dataset.at));
      if (time.textContent !== text) time.textContent = text;
    }
    const summary = document.querySelector("[data-open]");
    if (summary) {
      const open = Number(summary.dataset.open);
      const title = document.title.replace(/^\(\d+\) /, "");
      const told = open ? `(${open}) ${title}` : title;
      if (document.title !== told) document.title = told;
    }
  };
  tellAges();
  setInterval(tellAges, 1000);

  // The live connection. A stream that ends, is refused or falls silent is opened again every second;
  // the server then sends a full snapshot.
  const SILENCE = 25000, RETRY = 1000, HIDDEN = 60000;
  const showLink = (state) => {
    const link = $("link");
    link.dataset.state = state;
    const text = link.dataset[state];
    if (link.textContent !== text) link.textContent = text;
  };
  class SteadySource {
    constructor(url) {
      this.url = url;
      this.listeners = [];
      this.readyState = 0;
      this.connect();
      document.addEventListener("visibilitychange", () => this.rest());
    }
    addEventListener(name, listener) {
      this.listeners.push([name, listener]);
      this.source?.addEventListener(name, listener);
    }
    removeEventListener(name, listener) {
      this.listeners = this.listeners.filter(([n, l]) => n !== name || l !== listener);
      this.source?.removeEventListener(name, listener);
    }
    connect() {
      clearTimeout(this.timer);
      if (this.readyState === 2) return;
      const source = this.source = new EventSource(this.url);
      source.onopen = () => { this.readyState = 1; this.heard(); this.onopen?.(new Event("open")); };
      source.onerror = () => this.again();
      for (const name of ["beat", "changed"]) source.addEventListener(name, () => this.heard());
      for (const [name, listener] of this.listeners) source.addEventListener(name, listener);
      this.silence();
    }
    heard() { showLink("live"); this.silence(); }
    silence() { clearTimeout(this.timer); this.timer = setTimeout(() => this.again(), SILENCE); }
    again() {
      this.source?.close();
      showLink("lost");
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.connect(), RETRY);
    }
    rest() {
      clearTimeout(this.hidden);
      if (document.hidden) {
        // A browser allows few connections to one server: tabs in the background give theirs back.
        this.hidden = setTimeout(() => { clearTimeout(this.timer); this.source?.close(); this.source = null; }, HIDDEN);
      } else if (!this.source) this.connect();
    }
    close() { this.readyState = 2; clearTimeout(this.timer); this.source?.close(); }
  }
  if (window.htmx) {
    showLink("lost");
    htmx.createEventSource = (url) => new SteadySource(url);
  }
  if (window.htmx && !document.querySelector("[sse-connect]")) showLink("live");

  // A region that is swapped keeps the focus where it was.
  let focused = null;
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    const active = document.activeElement;
    const inside = event.target.contains(active) && (active.getAttribute("href") || active.dataset.number);
    focused = inside ? [active.tagName, inside] : null;
  });
  document.addEventListener("htmx:sseMessage", (event) => {
    tellAges();
    if (!focused) return;
    for (const element of event.target.querySelectorAll(focused[0])) {
      if ((element.getAttribute("href") || element.dataset.number) === focused[1]) {
        element.focus({ preventScroll: true });
        break;
      }
    }
    focused = null;
  });
  document.addEventListener("htmx:afterSwap", tellAges);

  $("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* storage is off: until the next page */ }
  });

  // Acts on incidents: the token lives in this tab's session storage and goes out only as a header to this server.
  const dialog = $("act");
  const stored = {
    get: () => { try { return sessionStorage.getItem("token") || ""; } catch { return ""; } },
    set: (token) => { try { sessionStorage.setItem("token", token); } catch { /* asked for again next time */ } },
    drop: () => { try { sessionStorage.removeItem("token"); } catch { /* nothing kept */ } },
  };
  let act = null;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-act]");
    if (!button) return;
    act = { name: button.dataset.act, number: button.dataset.number };
    $("act-title").textContent = $("act-go").textContent = button.textContent;
    $("act-what").textContent = `#${act.number} · ${button.dataset.title}`;
    $("act-text").value = "";
    $("act-text").required = act.name === "note";
    $("act-token").value = stored.get();
    $("act-error").textContent = "";
    dialog.showModal();
    (stored.get() ? $("act-text") : $("act-token")).focus();
  });
  $("act-cancel").addEventListener("click", () => dialog.close());
  $("act-forget").addEventListener("click", () => { stored.drop(); $("act-token").value = ""; $("act-token").focus(); });
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const go = $("act-go"), token = $("act-token").value.trim();
    go.disabled = true;
    try {
      const answer = await fetch(`/api/sentinel/v1/incidents/${act.number}/${act.name}`, {
        method: "POST",
        credentials: "omit",
        headers: { "Authorization": `Bearer ${token}`, "Content-Type": "application/json" },
        body: JSON.stringify({ text: $("act-text").value }),
      });
      if (answer.ok) { stored.set(token); dialog.close(); }
      else if (answer.status === 401) { stored.drop(); $("act-error").textContent = dialog.dataset.refused; }
      else $("act-error").textContent = (await answer.json().catch(() => ({}))).error || `${answer.status}`;
    } catch { $("act-error").textContent = dialog.dataset.silent; }
    go.disabled = false;
  });

  // Arrow keys walk the wall.
  document.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !event.target.classList?.contains("tile")) return;
    const tiles = [...document.querySelectorAll("a.tile")];
    const next = tiles[tiles.indexOf(event.target) + step];
    if (next) { event.preventDefault(); next.focus(); }
  });
})();
