/* What lies under a point of a track, in words: {title, rows, operation?} or null. */

const NEAR = 4;

function operationAt(x, y) {
  const indexes = ops.lanes[Math.floor(y / CLIENT_ROW)];
  if (!indexes || x < view.left) return null;
  let best = null;
  const from = Math.max(0, lowerBoundBy(indexes, (i) => ops.ended[i], timeOf(x - NEAR)) - 1);
  for (let k = from; k < indexes.length && xOf(ops.began[indexes[k]]) <= x + NEAR; k++) {
    const { x: left, wide } = box(indexes[k]);
    const away = Math.max(left - x, x - left - wide, 0) + (passes(indexes[k]) ? 0 : 100) + (starred.has(indexes[k]) ? -1 : 0);
    if (!best || away <= best.away) best = { i: indexes[k], away };
  }
  return best && best.away % 100 <= NEAR ? tellOperation(best.i) : null;
}

const OUTCOMES = { ok: 'ok', mismatch: 'mismatch: the expected value was not there', fail: 'failed: it did not happen', info: 'unknown: it may have happened' };

function tellOperation(i) {
  const answer = READS.has(ops.f(i)) || JSON.stringify(ops.result(i)) !== JSON.stringify(ops.value(i));
  return {
    operation: i,
    title: clipped(describe(i), 80),
    rows: [
      ['outcome', OUTCOMES[ops.outcome(i)]],
      ['key', ops.key(i)],
      ['asked', ops.value(i) === null ? null : clipped(shown(ops.value(i)), 240)],
      ['answer', ops.type(i) === 'ok' && answer ? clipped(shown(ops.result(i)), 400) : null],
      ['error', ops.error(i)],
      ['client', `${ops.lane[i]}, process ${ops.process(i)}`],
      ['node', ops.node(i)],
      ['began', moment(ops.began[i], 1e-6)],
      ['ended', ops.ended[i] < Infinity ? `${moment(ops.ended[i], 1e-6)}, after ${span(ops.ended[i] - ops.began[i])}` : 'not before the run did'],
    ],
  };
}

function faultAt(x, y) {
  const k = told.faults.findIndex((fault, n) => faultRow[n] === Math.floor(y / FAULT_ROW)
    && x >= xOf(fault.began_s) - NEAR && x <= Math.max(xOf(healed(fault)), xOf(fault.began_s) + 60) + NEAR);
  return k < 0 || x < view.left ? null : tellFault(k);
}

const FIRED = { true: 'seen to work', false: 'did not fire', null: 'cannot be seen' };

function tellFault(k) {
  const fault = told.faults[k];
  const { after_set_s: back, after_heal_s: later } = told.recoveries[k];
  return {
    title: `${fault.kind} ${where(fault)}`,
    rows: [
      ['number', String(fault.fault)],
      ['from', moment(fault.began_s, 1e-3)],
      ['to', fault.healed_s === null ? 'never healed' : `${moment(fault.healed_s, 1e-3)}, after ${span(fault.healed_s - fault.began_s)}`],
      ['probe', FIRED[fault.fired]],
      ['links', fault.links.length ? clipped(fault.links.map(([a, b]) => `${a}→${b}`).join(' '), 160) : null],
      ['detail', fault.detail || null],
      ['first ok', back === null ? 'never again' : `${span(back)} after it was set`],
      ['', later === null ? null : `${span(later)} after it was healed`],
    ],
  };
}

function nodeAt(x, y) {
  if (x < view.left) return null;
  const time = timeOf(x);
  if (y < LEADER_ROW) return leaderAt(time);
  const node = seenNodes[Math.floor((y - LEADER_ROW - 2) / NODE_ROW)];
  const samples = node && nodes.get(node).samples;
  if (!samples?.length) return null;
  if (time >= told.removed[node]) return { title: `${node}: no member any more`, rows: [['since', moment(told.removed[node], 1e-3)]] };
  const sample = samples[Math.max(0, lowerBound(samples.map((one) => one.time), time + 1e-9) - 1)];
  const on = told.faults.filter((fault) => fault.nodes.includes(node) && fault.began_s <= time && time <= healed(fault));
  return {
    title: `${node}: ${sample.process !== 'running' ? sample.process : sample.role || 'no answer'}`,
    rows: [
      ['term', sample.role ? String(sample.term) : null],
      ['leader', sample.leader],
      ['commit', grouped(sample.commit)],
      ['applied', grouped(sample.applied)],
      ['log', `to ${grouped(sample.last)}`],
      ['voters', sample.voters],
      ['faults', on.map((fault) => fault.kind).join(', ') || null],
      ['seen at', moment(sample.time, 1e-3)],
    ],
  };
}

function leaderAt(time) {
  const gap = told.leaderless.find(([begin, end]) => begin <= time && time < end);
  if (gap) return { title: `no leader for ${span(gap[1] - gap[0])}`, rows: [['from', moment(gap[0], 1e-3)], ['to', moment(gap[1], 1e-3)]] };
  const reign = reigns.find((one) => one.begin <= time && time < one.end);
  if (!reign) return null;
  const rows = [['term', String(reign.term)], ['from', moment(reign.begin, 1e-3)], ['to', moment(reign.end, 1e-3)]];
  return { title: `${reign.node} leads`, rows };
}

function chartAt(x) {
  if (x < view.left || x > view.left + view.width) return null;
  const length = sliceLength();
  const begin = Math.floor(timeOf(x) / length) * length;
  const [slice] = slices(begin + length * 1e-6, begin + length * 0.999, length);
  return {
    title: `${moment(begin, length)} to ${moment(begin + length, length)}`,
    rows: [
      ['ok', `${grouped(slice.ok)}, ${grouped(slice.ok / length)}/s`],
      ['mismatch', slice.mismatch ? grouped(slice.mismatch) : null],
      ['failed', slice.fail ? grouped(slice.fail) : null],
      ['unknown', slice.info ? grouped(slice.info) : null],
      ['p50', slice.took.length ? span(rank(slice.took, 0.5)) : null],
      ['p99', slice.took.length ? span(rank(slice.took, 0.99)) : null],
      ['slowest', slice.took.length ? span(slice.took.at(-1)) : null],
    ],
  };
}
