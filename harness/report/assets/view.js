/* The window of time that everything shows, and the ways to move it: wheel, drag, pinch, keys, the page's address. */

const SPAN_MIN = 50e-6;
const RUN_END = Math.max(told.duration_s, 0.001);
const MARGIN = RUN_END * 0.01;

const view = {
  begin: -MARGIN,
  end: RUN_END + MARGIN,
  keys: null, // numbers of the keys that the filter lets through; null: all
  filter: '',
  selected: -1,
  left: 0, // of the time axis within a track, in CSS pixels
  width: 1,
};
const listeners = [];
let scheduled = false;

function changed() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    for (const listener of listeners) listener();
  });
}

const xOf = (time) => view.left + ((time - view.begin) / (view.end - view.begin)) * view.width;
const timeOf = (x) => view.begin + ((x - view.left) / view.width) * (view.end - view.begin);

function setWindow(begin, end) {
  const whole = RUN_END + 2 * MARGIN;
  const length = Math.min(Math.max(end - begin, SPAN_MIN), whole);
  const middle = (begin + end) / 2;
  view.begin = Math.min(Math.max(middle - length / 2, -MARGIN), RUN_END + MARGIN - length);
  view.end = view.begin + length;
  changed();
}

const isWhole = () => view.end - view.begin >= RUN_END + 2 * MARGIN - 1e-9;

/** ``factor`` below 1 looks closer; ``time`` stays where it is on the screen. */
function zoom(factor, time = (view.begin + view.end) / 2) {
  const length = Math.min(Math.max((view.end - view.begin) * factor, SPAN_MIN), RUN_END + 2 * MARGIN);
  const share = (time - view.begin) / (view.end - view.begin);
  setWindow(time - share * length, time + (1 - share) * length);
}

function pan(share) {
  const by = (view.end - view.begin) * share;
  setWindow(view.begin + by, view.end + by);
}

let flight = 0;
/** Goes there in a moment that the eye can follow, or at once where motion is not wanted. */
function travel(begin, end) {
  const from = [view.begin, view.end];
  const started = performance.now();
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const mine = ++flight;
  const step = (now) => {
    if (mine !== flight) return;
    const share = still ? 1 : Math.min(1, Math.max(0, now - started) / 220);
    const eased = 1 - (1 - share) ** 3;
    setWindow(from[0] + (begin - from[0]) * eased, from[1] + (end - from[1]) * eased);
    if (share < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

const showAll = () => travel(-MARGIN, RUN_END + MARGIN);

/** Keys that equal ``text``, else those that contain it; "" lets all through. */
function setFilter(text) {
  view.filter = text;
  const numbers = [...new Set(ops.keyNumber)].filter((number) => number);
  const equal = numbers.filter((number) => name(number) === text);
  const like = numbers.filter((number) => name(number).toLowerCase().includes(text.toLowerCase()));
  view.keys = text === '' ? null : new Set(equal.length ? equal : like);
  changed();
}

const passes = (i) => view.keys === null || view.keys.has(ops.keyNumber[i]);

/* ---- the address: #t=3.2,4.1&key=k7 */

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const [begin, end] = (given.get('t') || '').split(',').map(Number);
  if (given.has('key')) setFilter(given.get('key'));
  if (end > begin) setWindow(begin, end);
  return given.has('t');
}

let addressTimer = 0;
function writeAddress() {
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => {
    const parts = [];
    if (!isWhole()) parts.push(`t=${view.begin.toFixed(6)},${view.end.toFixed(6)}`);
    if (view.filter) parts.push(`key=${encodeURIComponent(view.filter)}`);
    const hash = parts.length ? `#${parts.join('&')}` : ' ';
    if (hash.trim() !== location.hash) history.replaceState(null, '', hash === ' ' ? location.pathname + location.search : hash);
  }, 300);
}

/* ---- hands */

/** ``click(x, y, track)`` is told of a press that did not become a drag. */
function takeHands(surface, hint, click) {
  const pressed = new Map();
  let dragged = false;
  let ranged = null;
  const offset = (event) => event.clientX - surface.getBoundingClientRect().left;
  const range = surface.appendChild(element('div.range', { hidden: true }));

  surface.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || event.target.tagName !== 'CANVAS') return;
    pressed.set(event.pointerId, offset(event));
    dragged = false;
    ranged = event.shiftKey ? offset(event) : null;
    flight++;
  });
  surface.addEventListener('pointermove', (event) => {
    if (!pressed.has(event.pointerId)) return;
    const before = pressed.get(event.pointerId);
    const now = offset(event);
    if (!dragged && Math.abs(now - before) < 4) return;
    if (!dragged) surface.setPointerCapture(event.pointerId);
    dragged = true;
    if (pressed.size === 2) {
      const other = [...pressed.entries()].find(([id]) => id !== event.pointerId)[1];
      zoom(Math.max(8, Math.abs(before - other)) / Math.max(8, Math.abs(now - other)), timeOf(other));
    } else if (ranged !== null) {
      range.hidden = false;
      range.style.left = `${Math.min(ranged, now)}px`;
      range.style.width = `${Math.abs(now - ranged)}px`;
      return;
    } else {
      pan((before - now) / view.width);
    }
    pressed.set(event.pointerId, now);
  });
  const released = (event) => {
    if (!pressed.delete(event.pointerId)) return;
    if (dragged && ranged !== null && !range.hidden) travel(...[timeOf(ranged), timeOf(offset(event))].sort((a, b) => a - b));
    else if (!dragged && event.type === 'pointerup') click(event);
    range.hidden = true;
  };
  surface.addEventListener('pointerup', released);
  surface.addEventListener('pointercancel', released);
  surface.addEventListener('dblclick', (event) => zoom(0.4, timeOf(offset(event))));
  surface.addEventListener('wheel', (event) => {
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    const engaged = event.ctrlKey || event.metaKey || surface.parentElement.contains(document.activeElement);
    if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) pan(sideways / view.width);
    else if (engaged && !(event.deltaY > 0 && isWhole())) zoom(1.0018 ** event.deltaY, timeOf(offset(event)));
    else return void hint(!engaged);
    event.preventDefault();
  }, { passive: false });
}

const KEYS = {
  ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), '+': () => zoom(0.6), '=': () => zoom(0.6), '-': () => zoom(1 / 0.6),
  0: showAll,
};

function takeKeys(more) {
  const all = { ...KEYS, ...more };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    if (!all[event.key]) return;
    flight++;
    all[event.key]();
    event.preventDefault();
  });
}
