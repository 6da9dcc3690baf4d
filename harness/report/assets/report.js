/* The page: puts the pieces together and keeps them in step. */

const page = document.getElementById('page');
readColours();

/* ---- where to look */

for (const story of told.stories) {
  story.operations.forEach((op, k) => {
    if (op.index !== null && !starred.has(op.index)) starred.set(op.index, k + 1);
  });
}

/** The times that a check is about, with room around them. */
function timesOf(check) {
  const story = told.stories.find((one) => told.answer.checks[one.check] === check);
  const ends = story ? story.operations.flatMap((op) => [op.began_s, op.type === 'info' ? op.began_s : op.ended_s ?? op.began_s]) : [];
  if (check.time_s !== null) ends.push(check.time_s);
  const [begin, end] = [Math.min(...ends), Math.max(...ends)];
  const room = Math.max((end - begin) * 0.18, story ? 0.002 : 0.5);
  return [begin - room * 1.4, end + room];
}

function showCheck(check) {
  if (check.key !== null) choose(check.key);
  travel(...timesOf(check));
  instrument.scrollIntoView({ block: 'start', behavior: 'smooth' });
}

function showFault(fault) {
  const room = Math.max(0.4, (healed(fault) - fault.began_s) * 0.3);
  travel(fault.began_s - room, healed(fault) + room);
  instrument.scrollIntoView({ block: 'start', behavior: 'smooth' });
}

const hasStory = (check) => told.stories.some((story) => told.answer.checks[story.check] === check);
const violation = told.answer.checks.find((check) => check.validity === 'invalid' && (check.time_s !== null || hasStory(check)));
const jump = violation ? element('button.primary', { type: 'button', onclick: () => showCheck(violation) }, 'Show it on the time axis') : '';

/* ---- the key filter */

const found = element('output.found');
const search = element('input', { type: 'search', list: 'keys', placeholder: 'all keys', 'aria-label': 'Show only keys',
  spellcheck: 'false', autocomplete: 'off',
  oninput: () => setFilter(search.value),
  onkeydown: (event) => { if (event.key === 'Escape') { choose(''); search.blur(); } } });
const KEYS_OFFERED_MAX = 2000;
const keysByUse = (() => {
  const count = new Map();
  for (const number of ops.keyNumber) if (number) count.set(number, (count.get(number) || 0) + 1);
  return [...count].sort((a, b) => b[1] - a[1]);
})();
const offered = element('datalist', { id: 'keys' }, ...keysByUse.slice(0, KEYS_OFFERED_MAX).map(([number, count]) => (
  element('option', { value: name(number), label: `${count} operations` }))));

function choose(key) {
  search.value = key;
  setFilter(key);
}

/* ---- the instrument */

const windowText = element('output.window');
const button = (words, title, act) => element('button', { type: 'button', title, onclick: () => { flight++; act(); } }, words);
const toolbar = element('div.toolbar', {},
  element('label.search', {}, element('span', {}, 'Key'), search, offered), found,
  element('span.spring'), windowText,
  element('span.buttons', {}, button('−', 'Wider (−)', () => zoom(1 / 0.6)), button('+', 'Closer (+)', () => zoom(0.6)),
    button('All', 'The whole run (0)', showAll),
    violation ? button('Violation', 'Jump to the violation (v)', () => showCheck(violation)) : ''));

const legend = (kind, words) => element(`span.legend.${kind}`, {}, words);
const overview = track('', '', () => 38, drawOverview, 'Throughput of the whole run; the frame is what is shown below');
const axis = track('', '', () => 24, drawAxis, 'Time axis');
const tracks = [
  [track('Throughput', ['operations a second ', legend('ok', 'ok'), ...(ops.mismatches ? [legend('mismatch', 'cas mismatch')] : []),
    legend('info', 'unknown'), legend('fail', 'failed')], () => 96, drawThroughput), chartAt],
  [track('Latency', ['of ok operations ', legend('p50', 'p50'), legend('p99', 'p99')], () => 96, drawLatency), chartAt],
];
if (told.faults.length) tracks.push([track('Faults', '', () => faultRows * FAULT_ROW, drawFaults, `${told.faults.length} faults`), faultAt]);
if (told.samples.time.length) {
  tracks.push([track('Nodes', ['colour is the term, the line the commit index ', legend('leader', 'leader'), legend('follower', 'follower'),
    legend('dead', 'dead'), legend('paused', 'paused'), legend('faulted', 'under a fault'), legend('cut', 'links cut or slowed')],
  () => LEADER_ROW + 2 + seenNodes.length * NODE_ROW, drawNodes, 'Roles and terms of the nodes'), nodeAt]);
}
tracks.push([track('Clients', [legend('write', 'write'), legend('read', 'read'), legend('fail', 'failed ×'), legend('unknown', 'unknown, open to the right')],
  () => Math.max(1, ops.lanes.length) * CLIENT_ROW, drawClients, `${ops.count} operations of ${ops.lanes.length} clients`), operationAt]);
const painted = [overview, axis, ...tracks.map(([one]) => one)];

const crosshair = element('div.crosshair', { hidden: true }, element('span'));
const surface = element('div.surface', {}, element('div.head', {}, toolbar, overview.box, axis.box), ...tracks.map(([one]) => one.box), crosshair);
const hintLine = element('p.hint', { 'aria-live': 'polite' });
const instrument = element('section.instrument', { tabindex: '0', 'aria-label': 'Timeline. Arrow keys move, plus and minus zoom, '
  + '0 shows all, n and p step through operations, slash searches a key, v jumps to the violation.' }, surface, hintLine);

const HINT = 'drag to move · Ctrl + wheel or + − to zoom · Shift + drag a range · n p step through operations · / key · 0 all';
hintLine.textContent = HINT;
instrument.addEventListener('focus', () => { hintLine.textContent = HINT; });

function repaint() {
  if (!recorded) return;
  const width = surface.clientWidth;
  view.left = width < 640 ? 58 : 84;
  view.width = Math.max(50, width - view.left - 6);
  for (const one of painted) one.paint();
  const length = view.end - view.begin;
  windowText.textContent = isWhole() ? `whole run, ${span(RUN_END)}` : `${moment(Math.max(0, view.begin), length / 100)} + ${span(length)}`;
  const through = view.keys && ops.keyNumber.filter((number) => view.keys.has(number)).length;
  found.textContent = view.keys ? `${grouped(through)} of ${grouped(ops.count)} operations` : `${keysByUse.length} keys`;
  writeAddress();
}
listeners.push(repaint);

/* ---- the tooltip */

const tip = element('div.tip', { role: 'status', hidden: true });

function show(content, x, y) {
  tip.hidden = !content;
  if (!content) return;
  const rows = content.rows.filter(([, given]) => given !== null && given !== undefined && given !== '');
  tip.replaceChildren(element('strong', {}, content.title),
    element('dl', {}, ...rows.flatMap(([key, given]) => [element('dt', {}, key), element('dd', {}, given)])));
  const { offsetWidth: wide, offsetHeight: tall } = tip;
  const right = document.documentElement.clientWidth - 8;
  tip.style.left = `${Math.max(8, x + 14 + wide > right ? Math.min(x - wide - 14, right - wide) : x + 14)}px`;
  tip.style.top = `${Math.max(8, Math.min(y + 14, innerHeight - tall - 8))}px`;
}

function under(event) {
  const hit = tracks.find(([one]) => one.canvas === event.target);
  if (!hit) return null;
  const area = hit[0].canvas.getBoundingClientRect();
  return hit[1](event.clientX - area.left, event.clientY - area.top);
}

surface.addEventListener('pointermove', (event) => {
  const x = event.clientX - surface.getBoundingClientRect().left;
  crosshair.hidden = event.target.tagName !== 'CANVAS' || event.target === overview.canvas || x < view.left;
  crosshair.style.left = `${x}px`;
  crosshair.firstChild.textContent = moment(timeOf(x), (view.end - view.begin) / 1000);
  show(event.buttons ? null : under(event), event.clientX, event.clientY);
});
surface.addEventListener('pointerleave', () => { crosshair.hidden = true; show(null); });

takeHands(surface, (wanted) => {
  hintLine.textContent = wanted ? 'hold Ctrl (or click the timeline first) to zoom with the wheel' : HINT;
}, (event) => {
  instrument.focus({ preventScroll: true });
  const content = under(event);
  view.selected = content?.operation ?? -1;
  show(content, event.clientX, event.clientY);
  changed();
});
takeOverview(overview.canvas);

/** The next operation (or the one before) that the filter lets through, seen or brought into sight. */
function step(by) {
  let i = view.selected;
  if (i < 0) i = lowerBound(ops.began, view.begin) - (by > 0 ? 1 : 0);
  do i += by; while (i >= 0 && i < ops.count && !passes(i));
  if (i < 0 || i >= ops.count) return;
  view.selected = i;
  if (ops.began[i] < view.begin || ops.began[i] > view.end) {
    const half = (view.end - view.begin) / 2;
    setWindow(ops.began[i] - half, ops.began[i] + half);
  }
  changed();
  const area = tracks.at(-1)[0].canvas.getBoundingClientRect();
  show(tellOperation(i), area.left + xOf(ops.began[i]), area.top + (ops.lane[i] + 1) * CLIENT_ROW);
}

takeKeys({
  n: () => step(1), p: () => step(-1),
  v: () => { if (violation) showCheck(violation); },
  '/': () => search.focus(),
  Escape: () => { view.selected = -1; show(null); choose(''); instrument.blur(); },
});

/* ---- together */

const stories = told.stories.map((story) => element('section', {},
  element('h2', {}, told.answer.checks[story.check].validity === 'invalid' ? 'What cannot be explained' : 'What could not be decided',
    element('small', {}, story.key === null ? '' : ` key ${story.key}, `,
      `from ${moment(story.operations[0].began_s, 1e-3)}; moments in their order, not to scale`)),
  story === told.stories[0] ? '' : element('p', {}, told.answer.checks[story.check].sentence),
  storyOf(story)));
const recorded = ops.count + told.faults.length + told.samples.time.length > 0;
page.append(answer(jump), assumptions(), ...stories,
  recorded ? instrument : element('p.quiet', {}, 'Nothing was recorded: no operation, no fault, no look at a node.'), checks(showCheck), faultTable(showFault),
  element('div.pair', {}, latencyTable(), particulars()), tip);

if (!readAddress() && violation) {
  setWindow(...timesOf(violation));
  if (violation.key !== null && !view.filter) choose(violation.key);
}
const follow = () => { search.value = view.filter; };
follow();
addEventListener('hashchange', () => { readAddress(); follow(); });
new ResizeObserver(changed).observe(surface);

const recolour = () => { readColours(); changed(); };
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolour);
const forPrint = (printing) => () => {
  document.documentElement.classList.toggle('printing', printing);
  readColours();
  repaint();
};
addEventListener('beforeprint', forPrint(true));
addEventListener('afterprint', forPrint(false));
const theme = new URLSearchParams(location.search).get('theme');
if (theme) document.documentElement.dataset.theme = theme;
recolour();
