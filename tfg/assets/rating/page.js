// The rating page: shows what `state` says and tells Python what the rater does. It decides nothing but one thing:
// that the videos were played to the end before an answer can be given.

const PATIENCE = 15000; // ms without an answer after which the rater is told what to do
const MEMORY = "tfg-rating-code"; // in the browser: offers to continue to whoever comes back without the code

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const paragraphs = (text) => text.split(/\n\s*\n/).map((part) => make("p", {}, part.replace(/\s+/g, " ").trim()));

function memory(code) { // get, set, or with null forget; storage may be forbidden
  try {
    if (code === undefined) return localStorage.getItem(MEMORY);
    if (code === null) localStorage.removeItem(MEMORY);
    else localStorage.setItem(MEMORY, code);
  } catch { /* then the code and the address still lead back */ }
  return null;
}

function address(code) { // the page's address leads back to the session
  const url = new URL(location.href);
  if (code) url.searchParams.set("rater", code);
  else url.searchParams.delete("rater");
  history.replaceState(null, "", url);
}

function player(name, source, onstart, onend) {
  const local = typeof source === "string" ? null : URL.createObjectURL(new Blob([source], { type: "video/mp4" }));
  const video = make("video", { preload: "auto", playsinline: true, disablepictureinpicture: true,
    src: local ?? source, "aria-label": `${name} video` });
  const bar = make("div", { class: "tfg-bar" });
  const button = make("button", { type: "button", class: "tfg-play" }, `▶ Play ${name.toLowerCase()}`);
  const node = make("div", { class: "tfg-video" }, make("h3", {}, name), video,
    make("div", { class: "tfg-track" }, bar), button);
  button.addEventListener("click", () => {
    onstart();
    video.currentTime = 0;
    video.play();
  });
  video.addEventListener("play", () => { button.textContent = "Playing …"; });
  video.addEventListener("pause", () => { if (!video.ended) button.textContent = `▶ Play ${name.toLowerCase()}`; });
  video.addEventListener("timeupdate", () => { bar.style.width = `${(100 * video.currentTime) / video.duration}%`; });
  video.addEventListener("ended", () => {
    bar.style.width = "100%";
    node.classList.add("tfg-seen");
    button.textContent = "↻ Play again";
    onend();
  });
  video.addEventListener("error", () => {
    node.append(make("p", { role: "alert", class: "tfg-problem" },
      `This video cannot be played here (${video.error?.message || "no reason given"}). Reload the page, or take another browser.`));
  });
  return { node, stop: () => video.pause(), free: () => { video.pause(); if (local) URL.revokeObjectURL(local); } };
}

function render({ model, el }) {
  const root = make("div", { class: "tfg-rating" });
  el.append(root);
  let waiting = null;
  let players = [];

  function ask(message) {
    root.inert = true;
    waiting = setTimeout(() => {
      root.inert = false;
      root.append(make("p", { role: "alert", class: "tfg-problem" },
        "No answer from the server. Reload this page: it goes on where you were, and every answer that was accepted is kept."));
    }, PATIENCE);
    model.send(message);
  }

  function welcome(state) {
    const agree = make("input", { type: "checkbox", id: "tfg-agree", onchange: () => { start.disabled = !agree.checked; } });
    const start = make("button", { type: "button", class: "tfg-main", disabled: true, onclick: () => ask({ type: "consent" }) }, "Start");
    const code = make("input", { type: "text", id: "tfg-code", size: 8, autocomplete: "off", value: memory() ?? "" });
    return [
      make("h2", {}, state.title),
      ...paragraphs(state.consent),
      make("label", { class: "tfg-agree", for: "tfg-agree" }, agree, " I have read this, and I agree to take part."),
      start,
      make("form", { class: "tfg-resume", onsubmit: (event) => { event.preventDefault(); ask({ type: "resume", code: code.value }); } },
        make("label", { for: "tfg-code" }, "You have begun before? Your code: "), code, " ",
        make("button", { type: "submit" }, "Continue")),
    ];
  }

  function trial(state) {
    memory(state.code);
    address(state.code);
    const seen = new Set();
    const answers = {};
    const began = performance.now();
    const hint = make("p", { class: "tfg-hint", "aria-live": "polite" });
    const next = make("button", { type: "button", class: "tfg-main", onclick: () =>
      ask({ type: "vote", place: state.place, choices: answers, seconds: (performance.now() - began) / 1000 }) }, "Next");
    const pair = state.kind === "pair";
    const questions = Object.entries(state.questions).map(([dimension, text]) => make("fieldset", { class: `tfg-${state.kind}` },
      make("legend", {}, text),
      ...state.choices.map(([choice, label]) => make("label", {},
        make("input", { type: "radio", name: `tfg-${dimension}`, value: choice,
          onchange: () => { answers[dimension] = choice; update(); } }),
        make("span", {}, label)))));
    players = state.names.map((name, side) => player(name, state.sources[side],
      () => players.forEach((one) => one.stop()), // one sound at a time
      () => { seen.add(side); update(); }));
    function update() {
      const ready = seen.size === players.length;
      const open = Object.keys(state.questions).some((dimension) => !(dimension in answers));
      questions.forEach((one) => { one.disabled = !ready; });
      next.disabled = !ready || open;
      hint.textContent = !ready ? pair ? "Play both videos to the end, then answer. You may play them again."
          : "Play the video to the end, then answer. You may play it again."
        : open ? "Choose an answer." : "";
    }
    update();
    return [
      make("header", {}, make("span", {}, `${pair ? "Pair" : "Video"} ${state.done + 1} of ${state.total}`),
        make("progress", { max: state.total, value: state.done, "aria-label": "Progress" }),
        make("span", {}, "Your code: ", make("strong", {}, state.code))),
      state.instruction ? make("p", { class: "tfg-instruction" }, state.instruction) : null,
      make("div", { class: `tfg-videos tfg-${state.kind}`,
        style: `--tfg-rows: ${questions.length + (state.instruction ? 1 : 0)}` }, // what the screen must hold beside the videos
        ...players.map((one) => one.node)),
      ...questions,
      make("div", { class: "tfg-foot" }, next, hint),
    ];
  }

  function done(state) {
    memory(null);
    address(null);
    return [make("h2", {}, "Thank you!"), ...paragraphs(state.text),
      make("p", {}, "Your code: ", make("strong", {}, state.code))];
  }

  function draw() {
    clearTimeout(waiting);
    players.forEach((one) => one.free());
    players = [];
    const state = model.get("state");
    root.inert = false;
    root.replaceChildren(...{ welcome, trial, done }[state.screen](state).filter((node) => node !== null));
    if (state.problem) root.append(make("p", { role: "alert", class: "tfg-problem" }, state.problem));
    return state;
  }

  function change() { // a new screen is read from its top: what a check asks for stands there
    const { problem } = draw();
    if (problem) root.lastChild.scrollIntoView({ block: "nearest" });
    else root.scrollIntoView({ block: "start" });
  }

  model.on("change:state", change);
  draw();
  const code = new URLSearchParams(location.search).get("rater");
  if (code && model.get("state").screen === "welcome") ask({ type: "resume", code });
  return () => {
    model.off("change:state", change);
    clearTimeout(waiting);
    players.forEach((one) => one.free());
  };
}

export default { render };
