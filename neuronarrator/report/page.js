/* The page's behaviour: lazy drawing, sensitivity, reference, filter, keys. */
const page = JSON.parse(document.getElementById("page-data").textContent);
const articles = Array.from(document.querySelectorAll("article.segment"));
const canvases = Array.from(document.querySelectorAll("canvas[data-segment]"));
const near = new Set();
const view = { uvPerMm: page.sensitivity, reference: "recorded", sharpness: window.devicePixelRatio || 1 };
const SHARP_PRINTS = 40; // more canvases than this are printed at one pixel a point, for the memory's sake
let unfolded = [];

function draw(canvas) {
  const index = Number(canvas.dataset.segment);
  const segment = page.segments[index];
  const text = document.getElementById(`trace-${index}`).textContent;
  let traces = decodeTraces(text, segment.samples ? page.rows.length : 0, segment.samples, page.step_uv);
  let reference = "reference as processed";
  if (view.reference === "average") {
    const averaged = averageReference(traces, segment);
    traces = averaged.traces;
    const all = page.rows.length;
    reference = `average reference of ${averaged.used} channels`;
    if (averaged.used < all) reference += ` (${all - averaged.used} with bad contact left out)`;
  }
  const mmPerSecond = drawSegment(canvas, page, segment, traces, view.uvPerMm, view.sharpness);
  canvas.parentElement.querySelector("figcaption").textContent =
    `negative up · ${view.uvPerMm} µV/mm · ${mmPerSecond.toFixed(0)} mm/s · ${reference} · ` +
    `drawn at ${page.rate} samples/s`;
}

function release(canvas) {
  canvas.width = 0;
}

function redraw() {
  near.forEach(draw);
  document.querySelectorAll("[data-sensitivity]").forEach((button) => {
    button.setAttribute("aria-pressed", String(Number(button.dataset.sensitivity) === view.uvPerMm));
  });
  document.querySelectorAll("[data-reference]").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.dataset.reference === view.reference));
  });
}

function stepSensitivity(direction) {
  const index = page.sensitivities.indexOf(view.uvPerMm) + direction;
  view.uvPerMm = page.sensitivities[Math.min(Math.max(index, 0), page.sensitivities.length - 1)];
  redraw();
}

function shown() {
  return articles.filter((article) => !article.hidden);
}

/* The segment at the reading position, below the toolbar. */
function readingPosition() {
  const top = document.querySelector(".toolbar").getBoundingClientRect().bottom + 40;
  const list = shown();
  const passed = list.filter((article) => article.getBoundingClientRect().top <= top);
  return passed.length ? list.indexOf(passed[passed.length - 1]) : -1;
}

function tell() {
  const list = shown();
  document.getElementById("where").textContent = `${readingPosition() + 1} / ${list.length}`;
}

function go(direction) {
  const list = shown();
  const target = list[Math.min(Math.max(readingPosition() + direction, 0), list.length - 1)];
  if (!target) return;
  target.scrollIntoView({ block: "start" });
  target.focus({ preventScroll: true });
}

function filterSegments(only) {
  for (const article of articles) article.hidden = only && !article.classList.contains("flagged");
  tell();
}

/* A link into a hidden segment shows it. */
function reveal() {
  const target = document.getElementById(location.hash.slice(1));
  const article = target && target.closest("article.segment");
  if (!article || !article.hidden) return;
  document.getElementById("only-flagged").checked = false;
  filterSegments(false);
  target.scrollIntoView();
}

/* Paper needs every trace at once, and what was set aside. */
function prepareForPrint() {
  const printed = canvases.filter((canvas) => !canvas.closest("[hidden]"));
  view.sharpness = printed.length > SHARP_PRINTS ? 1 : window.devicePixelRatio || 1;
  printed.forEach(draw);
  unfolded = Array.from(document.querySelectorAll(".folds details:not([open])"));
  for (const fold of unfolded) fold.open = true;
}

function recoverFromPrint() {
  for (const fold of unfolded) fold.open = false;
  view.sharpness = window.devicePixelRatio || 1;
  canvases.filter((canvas) => !near.has(canvas)).forEach(release);
  redraw();
}

const KEYS = {
  j: () => go(1),
  k: () => go(-1),
  ArrowRight: () => go(1),
  ArrowLeft: () => go(-1),
  "+": () => stepSensitivity(-1),
  "=": () => stepSensitivity(-1),
  "-": () => stepSensitivity(1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
});
document.querySelectorAll("[data-sensitivity]").forEach((button) => {
  button.addEventListener("click", () => {
    view.uvPerMm = Number(button.dataset.sensitivity);
    redraw();
  });
});
document.querySelectorAll("[data-reference]").forEach((button) => {
  button.addEventListener("click", () => {
    view.reference = button.dataset.reference;
    redraw();
  });
});
document.querySelectorAll("[data-step]").forEach((button) => {
  button.addEventListener("click", () => go(Number(button.dataset.step)));
});
document.getElementById("only-flagged").addEventListener("change", (event) => filterSegments(event.target.checked));
window.addEventListener("hashchange", reveal);
window.addEventListener("scroll", () => requestAnimationFrame(tell), { passive: true });
window.addEventListener("resize", () => {
  view.sharpness = window.devicePixelRatio || 1;
  requestAnimationFrame(redraw);
});
window.addEventListener("beforeprint", prepareForPrint);
window.addEventListener("afterprint", recoverFromPrint);

const height = layoutRows(page).height;
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        near.add(entry.target);
        draw(entry.target);
      } else if (near.delete(entry.target)) {
        release(entry.target);
      }
    }
  },
  { rootMargin: "800px 0px" },
);
for (const canvas of canvases) {
  canvas.style.height = `${height}px`;
  watcher.observe(canvas);
}
redraw();
tell();
