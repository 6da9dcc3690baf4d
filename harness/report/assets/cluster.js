/* Lanes of the cluster: faults, who leads, and each node's process, role, term and commit index. */

/* ---- faults, packed into as few rows as keep them apart */

const FAULT_ROW = 22;
const PROBED = { true: '✓', false: '✕ did not fire', null: '' };
const LETTER = 0.0068; // of a wide screen's time axis

const where = (fault) => (fault.nodes.length ? fault.nodes.join(' ') : fault.links.map(([a, b]) => `${a}→${b}`).join(' '));
const faultName = (fault) => `${fault.kind} ${clipped(where(fault), 30)} ${PROBED[fault.fired]}`.trim();

const faultRow = (() => {
  const free = [];
  return told.faults.map((fault) => {
    let row = free.findIndex((until) => until <= fault.began_s);
    if (row < 0) row = free.push(0) - 1;
    const named = faultName(fault).length * LETTER * RUN_END; // beside the band if it is too short for it
    free[row] = healed(fault) + (healed(fault) - fault.began_s < named ? named : RUN_END * 0.01);
    return row;
  });
})();
const faultRows = Math.max(1, ...faultRow.map((row) => row + 1));

function drawFaults(pen, width, height) {
  within(pen, height, () => {
    gridLines(pen, height);
    if (!told.faults.some((fault) => healed(fault) >= view.begin && fault.began_s <= view.end)) {
      pen.fillStyle = colour['ink-2'];
      pen.fillText('none in this window', view.left + 6, FAULT_ROW / 2);
    }
    told.faults.forEach((fault, k) => {
      const x = Math.max(xOf(fault.began_s), view.left - 4);
      const right = Math.min(xOf(healed(fault)), view.left + view.width + 4);
      if (right < view.left || x > view.left + view.width) return;
      const y = faultRow[k] * FAULT_ROW + 2;
      const wide = Math.max(3, right - x);
      pen.beginPath();
      pen.roundRect(x, y, wide, FAULT_ROW - 4, 3);
      pen.fillStyle = colour.fault;
      pen.globalAlpha = fault.fired === false ? 0.08 : 0.26;
      pen.fill();
      pen.globalAlpha = 1;
      pen.strokeStyle = colour.fault;
      pen.lineWidth = 1;
      pen.setLineDash(fault.fired === false ? [3, 3] : []);
      pen.stroke();
      pen.setLineDash([]);
      drawFaultName(pen, k, x, right, y + FAULT_ROW / 2 - 1.5);
    });
  });
}

/** Inside if it fits, else to the right of the band as far as the next one leaves room, else cut off. */
function drawFaultName(pen, k, x, right, y) {
  const fault = told.faults[k];
  const next = told.faults.findIndex((other, n) => n > k && faultRow[n] === faultRow[k]);
  const room = (next < 0 ? view.left + view.width : xOf(told.faults[next].began_s)) - right - 8;
  const texts = [faultName(fault), `${fault.kind} ${PROBED[fault.fired].slice(0, 1)}`.trim(), fault.kind];
  pen.fillStyle = colour.ink;
  for (const text of texts) {
    const wide = pen.measureText(text).width;
    if (wide + 12 <= right - x) return pen.fillText(text, x + 6, y);
    if (wide <= room) return pen.fillText(text, right + 5, y);
  }
}

/* ---- nodes */

const GAP_ROW = 15; // the gaps' lengths, above the row of leaders
const LEADER_ROW = GAP_ROW + 25;
const ROLE = 16;
const COMMIT = 13;
const NODE_ROW = ROLE + COMMIT + 9;
const termInk = (term) => colour.term[term % TERM_COLOURS];

const seenNodes = told.nodes.filter((node) => nodes.get(node).samples.length);

/** Who leads, joined over the looks: [{begin, end, node, term}]. */
const reigns = (() => {
  const found = [];
  for (const [node, { stretches }] of nodes) {
    for (const stretch of stretches) {
      if (stretch.role === 'leader' && stretch.process === 'running') found.push({ ...stretch, node });
    }
  }
  found.sort((a, b) => a.begin - b.begin);
  // A deposed leader that has not heard of it yields to the higher term.
  for (const one of found) for (const two of found) if (two.term > one.term && two.begin < one.end) one.end = Math.max(one.begin, two.begin);
  return found;
})();

function drawLeaders(pen, top) {
  const y = top + GAP_ROW;
  gutter(pen, 'leader', y + ROLE / 2 + 1);
  within(pen, top + LEADER_ROW, () => {
    for (const reign of reigns) {
      const [x, right] = [Math.max(xOf(reign.begin), view.left - 2), xOf(reign.end)];
      if (right < view.left || x > view.left + view.width) continue;
      pen.fillStyle = termInk(reign.term);
      pen.fillRect(x, y, Math.max(1, right - x - 1), ROLE + 2);
      label(pen, `${reign.node} · term ${reign.term}`, reign.node, x, right, y + ROLE / 2 + 1.5, colour['on-term']);
    }
    let free = -Infinity;
    for (const [begin, end] of told.leaderless) {
      const [x, right] = [Math.max(xOf(begin), view.left - 2), Math.min(xOf(end), view.left + view.width + 2)];
      if (right < view.left || x > view.left + view.width) continue;
      pen.fillStyle = colour.panel;
      pen.fillRect(x, y, right - x, ROLE + 2);
      pen.fillStyle = hatch(pen, 'rise', colour.bad);
      pen.fillRect(x, y, Math.max(1, right - x), ROLE + 2);
      const text = `${Math.round((end - begin) * 1000).toLocaleString('en-US')} ms`;
      const wide = pen.measureText(text).width;
      const at = Math.min(Math.max((x + right - wide) / 2, view.left), view.left + view.width - wide);
      if (at < free) continue;
      free = at + wide + 6;
      pen.fillStyle = colour.bad;
      pen.fillText(text, at, top + GAP_ROW / 2 - 1);
    }
  });
}

/** The long text if it fits between ``x`` and ``right``, else the short one, else none. */
function label(pen, long, short, x, right, y, ink) {
  const from = Math.max(x, view.left) + 6;
  const room = Math.min(right, view.left + view.width) - from - 4;
  const text = [long, short].find((one) => pen.measureText(one).width <= room);
  if (!text) return;
  pen.fillStyle = ink;
  pen.fillText(text, from, y);
}

const STATES = { paused: 'bars', dead: 'cross' };

function drawNode(pen, y, node) {
  gutter(pen, clipped(node, 10), y + ROLE / 2 + 1, colour.ink);
  within(pen, y + NODE_ROW, () => {
    for (const stretch of nodes.get(node).stretches) {
      const [x, right] = [xOf(stretch.begin), xOf(stretch.end)];
      if (right >= view.left && x <= view.left + view.width) drawStretch(pen, stretch, x, right, y);
    }
    drawRemoval(pen, node, y);
    drawCommit(pen, node, y + ROLE, COMMIT);
    drawStrips(pen, node, y + ROLE + COMMIT);
  });
}

/** Where a lane ends before the run does, it says why. */
function drawRemoval(pen, node, y) {
  const x = xOf(told.removed[node] ?? Infinity);
  if (x > view.left + view.width) return;
  label(pen, 'no member any more', 'gone', x, view.left + view.width, y + ROLE / 2 + 0.5, colour['ink-2']);
}

function drawStretch(pen, stretch, x, right, y) {
  const wide = Math.max(1, right - x);
  const silent = stretch.process !== 'running' || !stretch.role;
  const word = stretch.process !== 'running' ? stretch.process : stretch.role || 'no answer';
  if (silent) {
    pen.fillStyle = hatch(pen, STATES[stretch.process] || 'fall', colour.gone);
    pen.fillRect(x, y, wide, ROLE);
    plate(pen, word, x, right, y);
    return;
  }
  pen.fillStyle = termInk(stretch.term);
  pen.globalAlpha = stretch.role === 'leader' ? 1 : 0.24;
  pen.fillRect(x, y, wide, ROLE);
  pen.globalAlpha = 0.08;
  pen.fillRect(x, y + ROLE, wide, COMMIT);
  pen.globalAlpha = 1;
  if (stretch.role === 'candidate') {
    pen.fillStyle = hatch(pen, 'fall', termInk(stretch.term));
    pen.fillRect(x, y, wide, ROLE);
    plate(pen, word, x, right, y);
    return;
  }
  const ink = stretch.role === 'leader' ? colour['on-term'] : colour['ink-2'];
  label(pen, `${word} · ${stretch.term}`, stretch.role === 'follower' ? '' : word, x, right, y + ROLE / 2 + 0.5, ink);
}

/** A word on a hatch, on a plate of its own so that it can be read. */
function plate(pen, word, x, right, y) {
  const from = Math.max(x, view.left);
  const needed = pen.measureText(word).width + 8;
  if (needed + 6 > right - from) return;
  pen.fillStyle = colour.panel;
  pen.fillRect(from + 3, y + 1.5, needed, ROLE - 3);
  label(pen, word, '', x, right, y + ROLE / 2 + 0.5, colour.ink);
}

let commitRange = [0, 1];
function measureCommits() {
  let [low, high] = [Infinity, 0];
  for (const { samples } of nodes.values()) {
    for (const sample of samples) {
      if (sample.time < view.begin - 0.2 || sample.time > view.end + 0.2) continue;
      low = Math.min(low, sample.commit);
      high = Math.max(high, sample.commit);
    }
  }
  commitRange = [Math.min(low, high), Math.max(high, low === Infinity ? 1 : low + 1)];
}

/** The commit index on one scale for all nodes: who lags is lower. */
function drawCommit(pen, node, y, tall) {
  const [low, high] = commitRange;
  pen.strokeStyle = colour['ink-2'];
  pen.lineWidth = 1.3;
  pen.lineJoin = 'round';
  pen.beginPath();
  for (const sample of nodes.get(node).samples) {
    pen.lineTo(xOf(sample.time), y + tall - 1 - ((sample.commit - low) / (high - low)) * (tall - 2));
  }
  pen.stroke();
}

/** Under the lane: the times in which a fault was on this node; dashed if it was on its links. */
function drawStrips(pen, node, y) {
  pen.strokeStyle = colour.fault;
  pen.lineWidth = 3;
  for (const fault of told.faults) {
    if (!fault.nodes.includes(node) || healed(fault) < view.begin || fault.began_s > view.end) continue;
    pen.setLineDash(fault.links.length ? [6, 3] : []);
    pen.beginPath();
    pen.moveTo(xOf(fault.began_s), y + 3);
    pen.lineTo(Math.max(xOf(healed(fault)), xOf(fault.began_s) + 2), y + 3);
    pen.stroke();
  }
  pen.setLineDash([]);
}

function drawNodes(pen, width, height) {
  within(pen, height, () => gridLines(pen, height));
  measureCommits();
  drawLeaders(pen, 2);
  seenNodes.forEach((node, k) => drawNode(pen, LEADER_ROW + 2 + k * NODE_ROW, node));
}
