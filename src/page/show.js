// Shows /status, anew each second. The page is patched in place, and whatever comes from outside is set as
// text or as an attribute's value, never as markup: the policy of this page (Trusted Types) forbids the rest.
const PERIOD = 1000, PATIENCE = 3000, RUNS = 60, STEP = 4, HEIGHT = 28;
/** How many failing checks, and with an output of how many characters, are open when the page opens. */
const OPEN_AT_FIRST = 2, LONG_OUTPUT = 90;
const MARKS = { ok: '✓', warn: '!', bad: '✕', wait: '…', lost: '?' };
const ICONS = { ok: ['#1b7a4b', 'M4 9l3 3 5-7'], bad: ['#b3261e', 'M4 4l8 8M12 4l-8 8'],
  wait: ['#52606d', 'M4 8h8'], lost: ['#52606d', 'M8 3v7M8 12v1'] };

const $ = id => document.getElementById(id);
const rows = new Map(), sections = new Map(), cards = new Map();
let lostAt = null, isAsking = false, timer = 0;

// Small tools: nothing is touched that is already right, so that nothing flickers and no selection is lost.
const text = (node, value) => { if (node.textContent !== value) node.textContent = value; };
const attribute = (node, name, value) => { if (node.getAttribute(name) !== value) node.setAttribute(name, value); };
const hide = (node, isHidden) => { if (node.hidden !== isHidden) node.hidden = isHidden; };
const clone = id => $(id).content.firstElementChild.cloneNode(true);
const kind = (node, name) => {
  for (const other of Object.keys(MARKS)) node.classList.toggle(other, other === name);
  text(node.querySelector('.mark'), MARKS[name]);
};

// The three verdicts.

const card = about => {
  const node = clone('verdict-template');
  $('verdicts').append(node);
  const path = node.querySelector('.path');
  path.href = `${about.path}?verbose`;
  cards.set(about.probe, node);
};
const showVerdict = about => {
  const node = cards.get(about.probe);
  const part = doc.probes.find(({ probe }) => probe === about.probe);
  const isLost = lostAt !== null;
  // An app that starts is no alarm before its startup checks have used up their failures.
  const isWaiting = about.probe === 'startup' && doc.probes.find(({ probe }) => probe === 'liveness').passes;
  kind(node, isLost ? 'lost' : part.passes ? 'ok' : isWaiting ? 'wait' : 'bad');
  const word = part.passes ? about.yes : about.no;
  text(node.querySelector('.word'), isLost ? `${about.title} unknown` : word);
  text(node.querySelector('.age'), isLost ? '' : part.since === null ? '' : `for ${age(part.since)}`);
  const reasons = isLost ? [{ said: `${word} when last seen, at ${clock(doc.now)}.` }]
    : part.passes ? [{ said: passing(about) }] : telling(about.probe, part.reasons);
  showReasons(node.querySelector('.reasons'), about.probe, reasons);
  text(node.querySelector('.path'), `/${about.path}`);
  const more = reasons.length > 2 ? ` · ${reasons.length - 2} more` : '';
  text(node.querySelector('.more'), isLost ? '' : (part.passes ? '200' : '503') + more);
  return `${about.title}: ${word}. ${part.reasons.map(({ check, reason }) => `${check}: ${reason}`).join('; ')}`;
};
/** The check that a reason is about: `startup` is about a startup check, and without any, liveness or readiness checks. */
const owner = (probe, name) => rows.get(`${probe}/${name}`) ?? (probe === 'startup'
  ? rows.get(`liveness/${name}`) ?? rows.get(`readiness/${name}`)
  : [...rows.values()].find(({ check }) => name === 'startup' && check.probe === name && check.state === 'unhealthy'));
/** Those first that say more than that nothing is known yet. */
const telling = (probe, reasons) => {
  const says = ({ check }) => owner(probe, check)?.check.last !== null;
  return [...reasons.filter(says), ...reasons.filter(reason => !says(reason))];
};
const showReasons = (list, probe, reasons) => {
  const shown = reasons.slice(0, 2);
  const wanted = shown.map(({ check, said, reason }) => [check ?? '', said ?? reason]);
  const drawn = JSON.stringify(wanted);
  if (list.drawn === drawn) return;
  list.drawn = drawn;
  list.replaceChildren(...wanted.map(([name, reason]) => {
    const item = document.createElement('li'), words = document.createElement('span');
    const about = owner(probe, name);
    if (name) {
      const title = document.createElement(about ? 'a' : 'b');
      if (about) title.href = `#${about.id}`;
      title.textContent = name;
      item.append(title);
    }
    words.textContent = reason;
    item.append(words);
    return item;
  }));
};

// One row for each check.

/** The present incarnation of what a check is about. */
const lifeOf = check => doc.containers.find(({ name }) => name === check.container)?.incarnation ?? doc.incarnation;
const key = check => `${check.probe}/${check.name}`;
const section = about => {
  const node = clone('section-template');
  node.querySelector('.word').textContent = `${about.title} checks`;
  sections.set(about.probe, node);
  $('checks').append(node);
};
const newRow = check => {
  const node = clone('check-template'), id = key(check);
  const one = name => node.querySelector(name);
  const row = { node, id, check, selected: null, part: {} };
  for (const name of ['state', 'streak', 'next']) row.part[name] = [one(`.${name} b`), one(`.${name} small`)];
  for (const name of ['target', 'reason', 'tag', 'strip', 'panel']) row.part[name] = one(`.${name}`);
  row.part.button = one('button');
  row.part.paths = ['s', 'f', 't'].map(letter => one(`svg .${letter}`));
  row.part.old = one('.old');
  row.part.here = one('.here');
  node.id = id;
  row.part.button.textContent = check.name;
  row.part.panel.id = `${id}/details`;
  row.part.button.setAttribute('aria-controls', row.part.panel.id);
  row.part.button.addEventListener('click', () => toggle(row, row.part.panel.hidden));
  const path = one('.p-path');
  path.href = `${PROBES.find(({ probe }) => probe === check.probe).path}/${check.name}`;
  path.textContent = `/${path.getAttribute('href')}`;
  one('.p-output').setAttribute('aria-label', `Output of ${check.name}`);
  inspect(row);
  rows.set(id, row);
  return row;
};
const toggle = (row, isOpen) => {
  hide(row.part.panel, !isOpen);
  attribute(row.part.button, 'aria-expanded', String(isOpen));
  if (isOpen) showPanel(row);
};
const showRow = (row, check) => {
  row.check = check;
  const { part } = row, its = mood(check);
  kind(row.node, its);
  text(part.state[0], stateWord(check));
  text(part.state[1], check.last || its === 'wait' ? `for ${age(check.since)}` : '');
  text(part.target, check.container ? `${check.target} · container ${check.container}` : check.target);
  text(part.reason, reasonWords(check));
  hide(part.tag, check.required);
  const [count, decides] = streakWords(check.streak, check.state);
  text(part.streak[0], count);
  text(part.streak[1], decides);
  text(part.next[0], nextWords(check));
  const { period_seconds: period, unhealthy_period_seconds: unhealthy } = check.timing;
  text(part.next[1], check.phase === 'resting' ? '' : `every ${span(check.streak.passing || !check.last ? period : unhealthy)}`);
  showStrip(row);
  if (!part.panel.hidden) showPanel(row);
};
const showPanel = ({ node, check }) => {
  const say = (name, words) => text(node.querySelector(`.p-${name}`), words);
  const { timing, last, last_failure: failure } = check;
  const ran = run => `${moment(run.began)}: ${run.result} in ${span(run.seconds)}`;
  say('target', check.target);
  say('state', `${check.state} since ${moment(check.since)}`);
  say('last', last ? ran(last) : 'none in this incarnation');
  say('next', check.next_run === null ? nextWords(check) : `${clock(check.next_run)}, ${nextWords(check)}`);
  const periods = [span(timing.period_seconds), `${span(timing.unhealthy_period_seconds)} while it fails`];
  say('period', timing.period_seconds === timing.unhealthy_period_seconds ? periods[0] : periods.join(', '));
  say('timeout', span(timing.timeout_seconds));
  say('delay', timing.initial_delay_seconds ? span(timing.initial_delay_seconds) : 'none');
  say('thresholds', `${plural(timing.success_threshold, 'success')}, ${plural(timing.failure_threshold, 'failure')}`);
  const earlier = failure && failure.began < lifeOf(check).began ? ', in an earlier incarnation' : '';
  say('failure', failure ? `${ran(failure)}${earlier}${failure.text ? `: ${failure.text}` : ''}` : 'none');
  const output = node.querySelector('.p-output');
  hide(output, !failure?.said);
  text(output, failure?.said ?? '');
};

// The strip of the last runs: a slider, so that one stop of the tab key is enough for sixty runs.

const showStrip = row => {
  const { part, check: { runs, timing } } = row;
  const count = runs.began.length, started = runs.began.findIndex(began => began >= lifeOf(row.check).began);
  const drawn = `${runs.began[count - 1]} ${count} ${started}`;
  if (row.drawn !== drawn) {
    row.drawn = drawn;
    const paths = { s: '', f: '', t: '' };
    for (let place = 0; place < count; place++) {
      const x = (RUNS - count + place) * STEP, result = runs.results[place];
      const share = Math.min(1, Math.sqrt(runs.seconds[place] / timing.timeout_seconds));
      const height = result === 's' ? 4 + Math.round(14 * share) : HEIGHT;
      paths[result] += `M${x} ${HEIGHT}v-${height}h3v${height}z`;
      if (result === 't') paths[result] += `M${x + 1} ${HEIGHT - 1}v-${height - 2}h1v${height - 2}z`;
    }
    part.paths.forEach((path, place) => path.setAttribute('d', paths['sft'[place]]));
    part.old.setAttribute('width', String((RUNS - count + (started < 0 ? count : started)) * STEP));
    attribute(part.strip, 'aria-label', `Last ${plural(count, 'run')} of ${row.check.name}`);
    attribute(part.strip, 'aria-valuemax', String(Math.max(1, count)));
  }
  select(row);
};
/** Moves the cursor to the selected run, which keeps its place in time while new runs come in. */
const select = row => {
  const { part, check: { runs } } = row, count = runs.began.length;
  const found = row.selected === null ? count - 1 : runs.began.findIndex(began => began >= row.selected);
  const place = found < 0 ? count - 1 : found;
  const words = count ? `${moment(runs.began[place])}: ${RESULTS[runs.results[place]]} in ${span(runs.seconds[place])}` : 'no run yet';
  const isInspected = row === inspected, failed = [...runs.results].filter(result => result !== 's').length;
  attribute(part.strip, 'aria-valuenow', String(Math.max(1, place + 1)));
  // Only the strip in use tells of one run: ages that change each second would be noise.
  attribute(part.strip, 'aria-valuetext', isInspected ? words : `${failed} of ${plural(count, 'run')} failed`);
  attribute(part.here, 'visibility', isInspected && count ? 'visible' : 'hidden');
  attribute(part.here, 'x', String((RUNS - count + place) * STEP - 0.5));
  if (!isInspected) return;
  const box = part.strip.getBoundingClientRect(), tip = $('tip');
  text(tip, words);
  hide(tip, false);
  const wanted = box.left + box.width * (RUNS - count + place) / RUNS - tip.offsetWidth / 2;
  tip.style.left = `${Math.max(4, Math.min(wanted, document.documentElement.clientWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${box.top - tip.offsetHeight - 6 < 60 ? box.bottom + 6 : box.top - tip.offsetHeight - 6}px`;
};
let inspected = null;
const inspect = row => {
  const { strip } = row.part;
  const begin = () => {
    const before = inspected;
    inspected = row;
    if (before && before !== row) select(before);
    select(row);
  };
  const end = () => {
    row.selected = null;
    if (inspected === row) {
      inspected = null;
      hide($('tip'), true);
    }
    select(row);
  };
  strip.addEventListener('focus', begin);
  strip.addEventListener('blur', end);
  strip.addEventListener('pointerleave', () => { if (document.activeElement !== strip) end(); });
  for (const event of ['pointermove', 'pointerdown']) {
    strip.addEventListener(event, ({ clientX }) => {
      const { began } = row.check.runs, box = strip.getBoundingClientRect();
      const slot = Math.floor((clientX - box.left) / box.width * RUNS) - (RUNS - began.length);
      row.selected = began[Math.max(0, Math.min(slot, began.length - 1))] ?? null;
      begin();
    });
  }
  strip.addEventListener('keydown', event => {
    const { began } = row.check.runs, now = Number(strip.getAttribute('aria-valuenow')) - 1;
    const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10,
      Home: -RUNS, End: RUNS };
    if (event.key === 'Escape') return end();
    if (!(event.key in moves) || !began.length) return;
    event.preventDefault();
    row.selected = began[Math.max(0, Math.min(now + moves[event.key], began.length - 1))];
    begin();
  });
};

// The whole document.

const show = () => {
  const present = new Set(doc.checks.map(key));
  for (const [id, row] of rows) {
    if (!present.has(id)) { row.node.remove(); rows.delete(id); }
  }
  const isFirst = !rows.size;
  for (const check of doc.checks) showRow(rows.get(key(check)) ?? newRow(check), check);
  for (const [probe, node] of sections) {
    const own = doc.checks.filter(check => check.probe === probe);
    const count = holds => own.filter(holds).length;
    const stale = count(check => check.stale_seconds !== null);
    const healthy = count(check => check.state === 'healthy' && check.stale_seconds === null);
    text(node.querySelector('small'), `${healthy} of ${own.length} healthy${stale ? `, ${stale} stale` : ''}`);
    arrange(node.querySelector('ul'), own.sort(inOrder).map(check => rows.get(key(check)).node));
  }
  if (isFirst) {
    const isLong = run => run && (run.said || (run.text ?? '').length > LONG_OUTPUT);
    const failing = [...rows.values()].filter(({ check }) => mood(check) === 'bad' && isLong(check.last_failure));
    failing.slice(0, OPEN_AT_FIRST).forEach(row => toggle(row, true));
    follow();
  }
  showFacts();
  filter();
  showAll();
};
/** Moves only what is not in its place, and nothing while somebody uses the list. */
const arrange = (list, nodes) => {
  const isUsed = list.contains(document.activeElement) && nodes.every(node => node.isConnected);
  if (isUsed || nodes.every((node, place) => list.children[place] === node)) return;
  list.replaceChildren(...nodes);
};
/** What a lost connection changes too. */
const showAll = () => {
  const isLost = lostAt !== null;
  document.body.classList.toggle('lost', isLost);
  if (doc) {
    const said = PROBES.map(showVerdict);
    const [ready, live, started] = PROBES.map(({ probe }) => doc.probes.find(part => part.probe === probe).passes);
    const word = !live ? 'Not live' : !started ? 'Not started' : ready ? 'Ready' : 'Not ready';
    const icon = isLost ? 'lost' : live && ready ? 'ok' : live && !started ? 'wait' : 'bad';
    const title = `${MARKS[icon]} ${isLost ? 'Connection lost' : word} · ${doc.host}`;
    if (document.title !== title) document.title = title;
    showIcon(icon);
    // Announced only when a verdict is another one, not with each new reason.
    const verdicts = `${isLost}${live}${ready}${started}`;
    if ($('said').verdicts !== verdicts) {
      $('said').verdicts = verdicts;
      text($('said'), isLost ? 'Connection lost.' : said.join(' '));
    }
  }
};
const showFacts = () => {
  const { incarnation, healthy } = doc;
  text($('host'), doc.host || 'health-proxy');
  text($('number'), doc.containers.map(one => `${one.name} ${one.incarnation.number}`).join(', ') || String(incarnation.number));
  text($('began'), moment(incarnation.began));
  text($('startup'), incarnation.startup_seconds === null ? `not passed for ${age(incarnation.began)}`
    : `took ${span(incarnation.startup_seconds)}`);
  const failing = doc.checks.filter(fails).length;
  text($('count'), failing ? `${failing} of ${doc.checks.length} failing` : `${doc.checks.length}, none failing`);
  text($('sidecar'), `${doc.version}, ${healthy ? 'works' : 'stale'}${doc.details ? '' : ', reasons withheld'}`);
  $('sidecar').classList.toggle('bad', !healthy);
};
const showIcon = name => {
  const [colour, path] = ICONS[name];
  const shape = name === 'bad' ? '<rect width="16" height="16" rx="2"' : '<circle cx="8" cy="8" r="8"';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${shape} fill="${colour}"/>`
    + `<path d="${path}" fill="none" stroke="#fff" stroke-width="2"/></svg>`;
  attribute($('icon'), 'href', `data:image/svg+xml,${encodeURIComponent(svg)}`);
};

// Finding a check.

const filter = () => {
  const words = $('words').value.toLowerCase().split(/\s+/).filter(Boolean), isOnly = $('only').checked;
  let shown = 0;
  for (const { node, id, check } of rows.values()) {
    const about = `${id} ${check.target} ${reasonWords(check)}`.toLowerCase();
    const isShown = words.every(word => about.includes(word)) && (!isOnly || fails(check));
    hide(node, !isShown);
    shown += isShown;
  }
  for (const node of sections.values()) hide(node, !node.querySelector('.check:not([hidden])'));
  const isAll = !words.length && !isOnly;
  text($('shown'), isAll ? '' : shown ? `${shown} of ${rows.size} shown` : isOnly && !words.length ? 'No check fails.' : 'No check found.');
};
/** A link to a check shows it, open, whatever is filtered. */
const follow = () => {
  const row = rows.get(location.hash.slice(1));
  if (!row) return;
  if (row.node.hidden || row.node.closest('section').hidden) {
    $('words').value = '';
    $('only').checked = false;
    filter();
  }
  toggle(row, true);
  row.node.scrollIntoView({ block: 'start' });
  row.part.button.focus({ preventScroll: true });
};

// The connection.

const ask = async () => {
  if (isAsking) return;
  isAsking = true;
  clearTimeout(timer);
  const began = performance.now();
  try {
    take(await fetched());
  } finally {
    isAsking = false;
    if (!document.hidden) timer = setTimeout(ask, Math.max(0, PERIOD - (performance.now() - began)));
  }
};
/** The document, or `null` where there is none. */
const fetched = async (isAgain = false) => {
  try {
    const answer = await fetch('status', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
    return answer.ok ? await answer.json() : null;
  } catch (error) {
    // A worker that dies takes its connections along, and its successor answers at once.
    return error.name === 'TypeError' && !isAgain ? fetched(true) : null;
  }
};
const take = found => {
  if (!found) return lose();
  // A new sidecar may bring a new page.
  if (doc && doc.version !== found.version) return location.reload();
  doc = found;
  lostAt = null;
  show();
  text($('link-text'), `updating, ${clock(doc.now)}`);
  kind($('link'), 'ok');
};
const lose = () => {
  lostAt ??= performance.now();
  showAll();
  const lost = `lost for ${span(Math.floor((performance.now() - lostAt) / 1000)).replace('0 ms', '0 s')}`;
  text($('link-text'), doc ? `Connection ${lost} · last seen ${clock(doc.now)} · trying again` : `No connection, ${lost}`);
  kind($('link'), 'lost');
};

$('words').addEventListener('input', filter);
$('only').addEventListener('change', filter);
$('tools').addEventListener('submit', event => event.preventDefault());
addEventListener('hashchange', follow);
addEventListener('scroll', () => { if (inspected) select(inspected); }, { passive: true });
document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });
text($('zone'), `Times are local (${Intl.DateTimeFormat().resolvedOptions().timeZone}).`);
PROBES.forEach(about => { card(about); section(about); });
ask();
