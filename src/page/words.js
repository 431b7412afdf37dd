// What the page says: words for the parts of the document, without touching the page.
'use strict';
const PROBES = [
  { probe: 'readiness', path: 'readyz', title: 'Readiness', yes: 'Ready', no: 'Not ready' },
  { probe: 'liveness', path: 'livez', title: 'Liveness', yes: 'Live', no: 'Not live' },
  { probe: 'startup', path: 'startupz', title: 'Startup', yes: 'Started', no: 'Not started' },
];
const RESULTS = { s: 'success', f: 'failure', t: 'timeout' };
/** The last document; ages are told by its own clock. */
let doc = null;

const plural = (count, word) => `${count} ${word}${count === 1 ? '' : /s$/.test(word) ? 'es' : 's'}`;
/** A duration in at most two units: `12 ms`, `3.4 s`, `3 m 12 s`, `2 d 3 h`. */
const span = seconds => {
  if (seconds < 0.00005) return 'under 0.1 ms';
  if (seconds < 0.9995) return `${seconds < 0.00995 ? +(seconds * 1e3).toFixed(1) : Math.round(seconds * 1e3)} ms`;
  if (seconds < 9.95) return `${+seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const units = [[86400, 'd'], [3600, 'h'], [60, 'm'], [1, 's']];
  const first = units.findIndex(([size]) => whole >= size);
  return units.slice(first, first + 2)
    .map(([size, name], place) => [place ? Math.floor(whole % units[first][0] / size) : Math.floor(whole / size), name])
    .filter(([count], place) => !place || count)
    .map(([count, name]) => `${count} ${name}`).join(' ');
};
/** How long ago, in whole seconds. */
const age = since => doc.now - since < 1 ? '0 s' : span(Math.floor(doc.now - since));
const clock = seconds => {
  const date = new Date(seconds * 1000), today = new Date(doc.now * 1000);
  const time = date.toLocaleTimeString('en-GB');
  return date.toDateString() === today.toDateString() ? time : `${date.toLocaleDateString('sv')} ${time}`;
};
const moment = seconds => `${clock(seconds)}, ${age(seconds)} ago`;

/** Which mark a check gets. */
const mood = check => {
  if (check.stale_seconds !== null) return 'bad';
  if (check.state === 'unhealthy') return !check.last ? 'wait' : check.required ? 'bad' : 'warn';
  if (!check.last) return check.phase === 'resting' ? 'ok' : 'wait';
  return check.streak.passing ? 'ok' : 'warn';
};
const stateWord = check => {
  if (check.stale_seconds !== null) return 'Stale';
  if (!check.last) return check.phase === 'waiting' ? 'Waiting' : 'No result';
  return check.state === 'healthy' ? 'Healthy' : 'Unhealthy';
};
const streakWords = ({ count, threshold, passing }, state) => {
  const word = passing ? (threshold === 1 ? 'success' : 'successes') : (threshold === 1 ? 'failure' : 'failures');
  if (!count) return ['no result', ''];
  if (count > threshold) return [plural(count, passing ? 'success' : 'failure'), `threshold ${threshold}`];
  const isContrary = passing !== (state === 'healthy');
  return [`${count} of ${threshold} ${word}`, isContrary ? `until ${passing ? 'healthy' : 'unhealthy'}`
    : count === threshold ? 'threshold reached' : `stays ${state}`];
};
const nextWords = check => {
  if (check.phase === 'waiting') return 'after startup';
  if (check.phase === 'resting') return 'none: started';
  if (check.phase === 'running') return `running ${span(Math.max(0, doc.now - check.next_run))}`;
  const rest = check.next_run - doc.now;
  return rest < 1 ? 'in under 1 s' : `in ${span(Math.floor(rest))}`;
};
const reasonWords = check => {
  const lines = [];
  if (check.stale_seconds !== null) lines.push(check.reason ?? `no result for ${span(check.stale_seconds)}: the sidecar does not get to run its checks`);
  else if (check.last && check.last.text !== null) lines.push(check.last.text);
  else if (check.reason !== null) lines.push(check.reason);
  if (check.last) lines.push(`${check.last.result === 'success' ? 'passed' : 'failed'} in ${span(check.last.seconds)}`);
  return lines.join(' · ');
};
/** Whether somebody should look at it: what waits for startup is not to blame. */
const fails = check => check.phase !== 'waiting' && (check.reason !== null || ['bad', 'warn'].includes(mood(check)));
const names = checks => checks.slice(0, 3).map(({ name }) => name).join(', ') + (checks.length > 3 ? ` and ${checks.length - 3} more` : '');
const RANKS = ['bad', 'warn', 'wait', 'ok'];
/** Failing checks first, and `svc-2` before `svc-10`. */
const inOrder = (a, b) => RANKS.indexOf(mood(a)) - RANKS.indexOf(mood(b)) || a.name.localeCompare(b.name, 'en', { numeric: true });
/** What stands in the place of reasons while a probe passes. */
const passing = ({ probe }) => {
  const own = doc.checks.filter(check => check.probe === probe);
  if (!own.length) {
    return probe !== 'startup' ? `No ${probe} check is configured.`
      : "No startup check is configured; the app's sockets and processes are there.";
  }
  const failing = own.filter(({ reason, required }) => reason !== null && !required);
  if (failing.length) return `${names(failing)} ${failing.length === 1 ? 'fails and is' : 'fail and are'} not required.`;
  const stale = own.filter(check => check.stale_seconds !== null);
  if (stale.length) return `${names(stale)} ${stale.length === 1 ? 'has' : 'have'} no new result, and ${probe} stands as it was.`;
  const shaky = own.filter(check => check.last && !check.streak.passing);
  if (shaky.length === 1) return `${shaky[0].name} failed ${plural(shaky[0].streak.count, 'time')}; ${shaky[0].streak.threshold} in a row decide.`;
  if (shaky.length) return `${shaky.length} of ${own.length} checks failed in their last run, none often enough to decide.`;
  return own.length === 1 ? `Its check, ${own[0].name}, passes.` : `All ${own.length} checks pass.`;
};
