"use strict";
// The page is whole without this. It keeps it up to date, sorts and filters. What comes
// in an event is HTML made by the server, with everything in it escaped.

const filter = document.getElementById("filter");
const pause = document.getElementById("pause");
const state = document.getElementById("state");
const announce = document.getElementById("announce");
const waiting = new Map();  // what came while the page was paused
let announced = null;

for (const tool of document.querySelectorAll(".live")) tool.hidden = false;

// -- sorting and filtering ---------------------------------------------------------

function keyOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.sort === undefined ? cell.textContent.trim() : Number(cell.dataset.sort);
}

function compare(a, b) {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}

function arrange(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows].filter((row) => !row.classList.contains("empty"));
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.findIndex((head) => head.hasAttribute("aria-sort"));
  if (column >= 0) {
    const sign = heads[column].getAttribute("aria-sort") === "ascending" ? 1 : -1;
    rows.sort((a, b) => sign * compare(keyOf(a, column), keyOf(b, column)));
    body.append(...rows);
  }
  const wanted = filter.value.trim().toLowerCase();
  for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
}

function sortBy(head) {
  const before = head.getAttribute("aria-sort");
  const first = head.classList.contains("number") ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  for (const one of head.parentNode.cells) one.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", before === first ? other : first);
  arrange(head.closest("table"));
}

for (const head of document.querySelectorAll("thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  button.addEventListener("click", () => sortBy(head));
  head.replaceChildren(button);
}

filter.addEventListener("input", () => document.querySelectorAll("table").forEach(arrange));

// -- what is new --------------------------------------------------------------------

function replaceRows(body, html) {
  const open = [...body.querySelectorAll("details[open]")].map((one) => one.dataset.key);
  const focused = body.contains(document.activeElement)
    ? document.activeElement.closest("details")?.dataset.key : undefined;
  body.innerHTML = html;
  for (const one of body.querySelectorAll("details")) {
    one.open = open.includes(one.dataset.key);
    if (focused !== undefined && one.dataset.key === focused) one.querySelector("summary").focus();
  }
  arrange(body.closest("table"));
}

function tell(alarms) {
  const kinds = [...alarms.querySelectorAll(".alarm")].map((one) => one.classList[1]).join();
  if (announced !== null && kinds !== announced) {
    announce.textContent = alarms.querySelector(".alarm-title").textContent;
  }
  announced = kinds;
}

function show(id, value) {
  const place = document.getElementById(id);
  if (!place) return;  // a section that was not there when the page was loaded
  if (id === "alarms") {
    place.innerHTML = value;
    tell(place);
  } else if (place.tagName === "TBODY") {
    replaceRows(place, value);
  } else {
    place.textContent = value;
  }
}

function showAll() {
  for (const [id, value] of waiting) show(id, value);
  waiting.clear();
}

function is(text, lost) {
  state.textContent = text;
  state.parentNode.classList.toggle("lost", lost);
}

tell(document.getElementById("alarms"));

let events = null;
let heard = 0;

function listen() {
  if (events) events.close();
  heard = Date.now();
  events = new EventSource(document.body.dataset.events);
  events.addEventListener("message", (event) => {
    heard = Date.now();
    for (const [id, value] of Object.entries(JSON.parse(event.data))) waiting.set(id, value);
    if (pause.getAttribute("aria-pressed") === "true") return;
    is("live", false);
    showAll();
  });
  events.addEventListener("error", () => is("no answer since", true));
}

// Who was stopped says nothing, not even that. Another process may answer, or a new one.
setInterval(() => {
  if (Date.now() - heard < 5000) return;
  is("no answer since", true);
  if (events.readyState !== EventSource.CLOSED) return listen();
  heard = Date.now();
  fetch(location.href).then((answer) => answer.ok && location.reload(), () => {});
}, 1000);

listen();

pause.addEventListener("click", () => {
  const pausing = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(pausing));
  pause.textContent = pausing ? "Go on" : "Pause";
  if (pausing) {
    is("paused at", false);
  } else {
    is("live", false);
    showAll();
  }
});
