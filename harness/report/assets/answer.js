/* The answer on top, and the tables at the end. */

const SYMBOLS = { valid: '✓', invalid: '✕', unknown: '?' };

function symbol(validity) {
  return element(`span.symbol.${validity}`, { 'aria-hidden': 'true' }, SYMBOLS[validity]);
}

function answer(jump) {
  const { validity, word, sentence, facts, figures } = told.answer;
  const line = facts.map(([label, given]) => element('span', {}, element('small', {}, label), ` ${given}`));
  return element(`header.answer.${validity}`, {},
    element('div.verdict', {}, element('h1', {}, symbol(validity), word), element('p.facts', {}, ...line)),
    element(sentence.length > 150 ? 'p.sentence.long' : 'p.sentence', {}, sentence),
    element('div.actions', {}, jump, replay()),
    element('dl.figures', {}, ...figures.map(figure)));
}

function figure({ value: given, label: words, note }) {
  return element('div', {}, element('dt', {}, words), element('dd', {}, given), note ? element('dd.note', {}, note) : '');
}

function replay() {
  const typed = told.answer.replay;
  const button = element('button', { type: 'button', title: 'Copy the command', onclick: async () => {
    try {
      await navigator.clipboard.writeText(typed);
      button.textContent = 'copied';
    } catch {
      getSelection().selectAllChildren(code); // no clipboard on this page: the reader copies what is selected
      button.textContent = 'selected';
    }
    setTimeout(() => { button.textContent = 'copy'; }, 1500);
  } }, 'copy');
  const code = element('code', {}, typed);
  return element('div.replay', {}, element('small', {}, 'run it again'), code, button);
}

function assumptions() {
  const broken = told.answer.assumptions.filter((one) => !one.held);
  if (!broken.length) return '';
  return element('section.assumptions', {}, element('h2', {}, 'Assumptions that did not hold'),
    element('ul', {}, ...broken.map((one) => element('li', {}, element('strong', {}, one.name), ` ${one.sentence}`))));
}

function table(head, rows, kinds = []) {
  return element('div.scroll', {}, element('table', {},
    element('thead', {}, element('tr', {}, ...head.map((words, k) => element(`th${kinds[k] ? `.${kinds[k]}` : ''}`, {}, words)))),
    element('tbody', {}, ...rows.map((cells) => element('tr', {}, ...cells.map((cell, k) => element(`td${kinds[k] ? `.${kinds[k]}` : ''}`, {}, cell)))))));
}

function checks(show) {
  const rows = told.answer.checks.map((check) => [
    symbol(check.validity), check.name,
    element('span', {}, check.sentence || { valid: 'nothing wrong was found', invalid: 'violated', unknown: 'not decided' }[check.validity],
      Object.keys(check.detail).length ? element('small.detail', {}, inWords(check.detail)) : ''),
    check.time_s === null || check.validity === 'valid' ? ''
      : element('button', { type: 'button', onclick: () => show(check) }, `show ${moment(check.time_s, 1e-3)}`),
  ]);
  if (!rows.length) return '';
  const held = told.answer.assumptions.filter((one) => one.held);
  return element('section', {}, element('h2', {}, 'Checks'), table(['', 'check', 'what was found', ''], rows, ['', 'name', 'wide', '']),
    held.length ? element('p.quiet', {}, `Assumptions that held: ${held.map((one) => one.name).join(', ')}.`) : '');
}

function faultTable(show) {
  if (!told.faults.length) return '';
  const rows = told.faults.map((fault, k) => {
    const { after_set_s: set, after_heal_s: heal } = told.recoveries[k];
    return [
      element('button.link', { type: 'button', onclick: () => show(fault) }, fault.kind), where(fault),
      moment(fault.began_s, 0.01), fault.healed_s === null ? 'not healed' : moment(fault.healed_s, 0.01), FIRED[fault.fired],
      set === null ? 'never' : span(set), heal === null ? '–' : span(heal), fault.detail,
    ];
  });
  const head = ['fault', 'nodes', 'from', 'to', 'probe', 'first ok after', 'after healing', ''];
  return element('section', {}, element('h2', {}, 'Faults'), table(head, rows, ['', '', 'number', 'number', '', 'number', 'number', 'wide']));
}

function latencyTable() {
  const rows = Object.entries(told.latency).map(([f, one]) => [f, grouped(one.count), span(one.p50_s), span(one.p99_s), span(one.max_s)]);
  return rows.length ? element('section', {}, element('h2', {}, 'Latency'),
    table(['', 'ok', 'p50', 'p99', 'slowest'], rows, ['', 'number', 'number', 'number', 'number'])) : '';
}

/** Whatever a manifest or a check's detail holds, without the punctuation of JSON. */
function inWords(given) {
  if (Array.isArray(given)) return given.map(inWords).join(' ');
  if (given === null || typeof given !== 'object') return String(given);
  const nested = (one) => (one !== null && typeof one === 'object' && !Array.isArray(one) ? `(${inWords(one)})` : inWords(one));
  return Object.entries(given).map(([key, one]) => `${key} ${nested(one)}`).join(', ');
}

function particulars() {
  const given = { ...told.answer.manifest, ...told.answer.statistics };
  const rows = Object.entries(given).map(([key, one]) => [key, inWords(one)]);
  return rows.length ? element('section', {}, element('h2', {}, 'Run'), table(['', ''], rows, ['name', 'wide'])) : '';
}
