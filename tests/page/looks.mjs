// What the page looks like and how it is used: schemes, sizes, keyboard, pointer, 200 checks.

import {
  accessible, DARK, DARK_PHONE, DESK, fits, nothingToComplain, open, PHONE, picture, row, stays, verdict,
} from './browser.mjs';
import { App, Sidecar } from './sidecar.mjs';
import { assert, equal, keep, keepForAll, test, until } from './suite.mjs';

const SIZES = { desk: DESK, dark: DARK, phone: PHONE, 'dark-phone': DARK_PHONE };

/** A pod with a check in each state; one for all cases, since none changes it. */
let pod = null;
const mixed = () => { pod ??= startMixed(); return pod; };
const startMixed = async () => {
  const app = keepForAll(await App.start({ '/healthz': 200, '/ready': 200 }), one => one.stop());
  const sidecar = keepForAll(await Sidecar.start({
    LIVENESS_PERIOD_SECONDS: '0.1',
    READINESS_PERIOD_SECONDS: '0.1',
    STARTUP_PERIOD_SECONDS: '0.1',
    STARTUP_WEB: `http://127.0.0.1:${app.port}/healthz`,
    LIVENESS_WEB: `http://127.0.0.1:${app.port}/healthz`,
    READINESS_CACHE: 'exec:sh -c "exit 1"',
    READINESS_CACHE_REQUIRED: 'false',
    READINESS_DB: 'tcp://127.0.0.1:1',
    READINESS_MIGRATION: 'exec:sh -c "echo 3 of 5 steps; echo waiting for the lock; exit 2"',
    READINESS_QUEUE: 'exec:sleep 9',
    READINESS_QUEUE_TIMEOUT_SECONDS: '0.05',
    READINESS_QUEUE_FAILURE_THRESHOLD: '100000',
    READINESS_LATER: 'tcp://127.0.0.1:1',
    READINESS_LATER_INITIAL_DELAY_SECONDS: '600',
    READINESS_LATER_CONTAINER: 'later',
    READINESS_WEB: `http://127.0.0.1:${app.port}/ready`,
  }), one => one.stop());
  await until('histories', async () => {
    const { checks } = await sidecar.status();
    return checks.find(({ name, probe }) => name === 'db' && probe === 'readiness').runs.began.length >= 25;
  });
  return sidecar;
};

test('both colour schemes, wide and narrow, are accessible', async () => {
  const sidecar = await mixed();
  const backgrounds = {};
  for (const [name, options] of Object.entries(SIZES)) {
    const page = await open(sidecar.url, options);
    await row(page, 'readiness/db').waitFor();
    backgrounds[name] = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    await picture(page, name);
    await accessible(page, `${name}, as it opens`);
    await row(page, 'readiness/db').getByRole('button').click();
    await row(page, 'readiness/db').locator('.strip').focus();
    await accessible(page, `${name}, with details and a tip`);
    await fits(page);
    await page.setViewportSize({ width: 320, height: 700 });
    await fits(page);
    nothingToComplain(page);
    await page.close();
  }
  equal(new Set(Object.values(backgrounds)).size, 2, 'light and dark');
});

test('the page needs nothing from elsewhere, and its policy forbids it', async () => {
  const sidecar = await mixed();
  const page = await open(sidecar.url);
  await row(page, 'readiness/db').waitFor();
  await until('a second look', () => page.asked.length > 3);
  equal([...new Set(page.asked)].sort(), [sidecar.url, `${sidecar.url}status`], 'requests');
  nothingToComplain(page);
  const answer = await fetch(sidecar.url);
  assert(answer.headers.get('content-security-policy').startsWith("default-src 'none'; style-src 'sha256-"), 'the policy');
  const size = (await answer.arrayBuffer()).byteLength;
  assert(size < 40_000, `${size} bytes`);
  console.log(`        the page has ${size} bytes`);
  // Whatever found its way in would not run, nor call home.
  const blocked = await page.evaluate(() => {
    const attempts = {
      markup: () => { document.body.innerHTML += '<b>'; },
      code: () => document.head.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' })),
    };
    return Object.fromEntries(Object.entries(attempts).map(([name, attempt]) => {
      try { attempt(); return [name, window.ran ? 'ran' : 'did not run']; } catch (error) { return [name, error.name]; }
    }));
  });
  equal(blocked, { markup: 'TypeError', code: 'TypeError' }, 'Trusted Types');
});

test('states differ by more than colour', async () => {
  const page = await open((await mixed()).url);
  const marks = { db: '✕Unhealthy', cache: '!Unhealthy', later: '…No result', web: '✓Healthy' };
  await row(page, 'readiness/db').waitFor();
  for (const [name, expected] of Object.entries(marks)) {
    const state = (await row(page, `readiness/${name}`).locator('.state').innerText()).replace(/\n/g, '');
    assert(state.startsWith(expected), `${name}: ${state}`);
  }
  const paths = await row(page, 'readiness/queue').locator('svg path').evaluateAll(all =>
    all.map(path => [path.getAttribute('class'), (path.getAttribute('d') ?? '').length > 9]));
  equal(paths.slice(1), [['s', false], ['f', false], ['t', true]], 'a timeout has a shape of its own');
});

test('the keyboard reaches everything', async () => {
  const page = await open((await mixed()).url);
  await row(page, 'readiness/db').waitFor();
  const focused = () => page.evaluate(() => document.activeElement.closest('[id]')?.id ?? '');
  await page.keyboard.press('Tab');
  equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the checks');
  await page.keyboard.press('Enter');
  equal(await focused(), 'checks');

  await page.keyboard.press('Tab');
  equal(await focused(), 'readiness/db');
  const button = row(page, 'readiness/db').getByRole('button');
  const panel = row(page, 'readiness/db').locator('.panel');
  assert(await panel.isHidden(), 'details are closed');
  await page.keyboard.press('Enter');
  assert(await panel.isVisible() && await button.getAttribute('aria-expanded') === 'true', 'details are open');
  const details = (await panel.innerText()).replace(/\s+/g, ' ');
  for (const words of ['connection refused by 127.0.0.1:1', 'Period 100 ms', 'Timeout 1 s', 'Initial delay none',
    'Thresholds 1 success, 3 failures', 'Path /readyz/db', "Target tcp://127.0.0.1:1"]) {
    assert(details.includes(words), `${words} in ${details}`);
  }

  await page.keyboard.press('Tab');
  const strip = row(page, 'readiness/db').getByRole('slider');
  const said = () => strip.getAttribute('aria-valuetext');
  const RUN = /^\d\d:\d\d:\d\d, \d+ s ago: failure in (under )?[\d.]+ m?s$/;
  assert(RUN.test(await said()), await said());
  equal(await page.locator('#tip').isVisible(), true, 'the tip is shown on focus');
  await page.keyboard.press('Home');
  const [oldest, count] = [await strip.getAttribute('aria-valuenow'), await strip.getAttribute('aria-valuemax')];
  assert(oldest === '1' && Number(count) >= 25, `${oldest} of ${count}`);
  // Both at one moment: they change with each second.
  const [tip, value] = await strip.evaluate(node => [document.querySelector('#tip').textContent, node.getAttribute('aria-valuetext')]);
  assert(RUN.test(value), value);
  equal(tip, value, 'the tip says the same');
  await page.keyboard.press('ArrowRight');
  assert(Number(await strip.getAttribute('aria-valuenow')) <= 2, 'one run on');
  await page.keyboard.press('Escape');
  assert(await page.locator('#tip').isHidden(), 'Escape closes the tip');
});

test('the pointer reads a run', async () => {
  const page = await open((await mixed()).url);
  const strip = row(page, 'readiness/queue').locator('.strip');
  await strip.waitFor();
  const box = await strip.boundingBox();
  await page.mouse.move(box.x + box.width - 2, box.y + 10);
  assert(/: timeout in \d+ ms$/.test(await page.locator('#tip').innerText()), await page.locator('#tip').innerText());
  await page.mouse.move(5, 5);
  assert(await page.locator('#tip').isHidden(), 'it goes with the pointer');
});

test('a reason leads to its check', async () => {
  const page = await open((await mixed()).url);
  await row(page, 'readiness/db').waitFor();
  const { reasons } = await verdict(page, 'readiness');
  assert(reasons[0].startsWith('dbconnection refused') || reasons[0].startsWith('db'), reasons.join());
  await page.getByRole('checkbox').check();
  assert(await row(page, 'readiness/web').isHidden(), 'what passes is hidden');
  await page.getByRole('searchbox').fill('nothing like it');
  assert(await row(page, 'readiness/db').isHidden(), 'what does not match is hidden');
  equal(await page.locator('#shown').innerText(), 'No check found.');
  await page.locator('.verdict').first().getByRole('link', { name: 'db' }).click();
  await until('it is shown, open', () => row(page, 'readiness/db').locator('.panel').isVisible());
});

test('200 checks', async () => {
  const app = keep(await App.start({ '/healthz': 200 }), one => one.stop());
  const env = { READINESS_PERIOD_SECONDS: '0.5', READINESS_TIMEOUT_SECONDS: '20' };
  for (let number = 0; number < 200; number += 1) {
    const name = `READINESS_${number % 50 ? 'SHARD' : 'BROKEN'}_${String(number).padStart(3, '0')}`;
    env[name] = number % 50 ? `http://127.0.0.1:${app.port}/healthz` : 'tcp://127.0.0.1:1';
  }
  const sidecar = keep(await Sidecar.start(env), one => one.stop());
  await until('all have run', async () => (await sidecar.status()).checks.every(({ runs }) => runs.began.length > 3));
  for (const [name, options] of Object.entries({ '200': DESK, '200-phone': PHONE })) {
    const page = await open(sidecar.url, options);
    await row(page, 'readiness/shard-199').waitFor();
    await picture(page, name);
    equal(await page.locator('.check').count(), 200);
    equal((await verdict(page, 'readiness')).reasons.length, 2, 'the card keeps its size');
    assert((await page.locator('.verdict .more').first().innerText()).includes('2 more'), 'and counts the rest');
    if (options === DESK) await accessible(page, name);
    await fits(page);
    await page.getByRole('checkbox').check();
    equal(await page.locator('.check:visible').count(), 4);
    equal(await page.locator('#shown').innerText(), '4 of 200 shown');
    await page.getByRole('searchbox').fill('broken-150');
    equal(await page.locator('.check:visible').count(), 1);
    await page.close();
  }
  // Steady states cost no node: what changes is text and attributes.
  const page = await open(sidecar.url);
  await row(page, 'readiness/shard-199').waitFor();
  await page.evaluate(() => {
    window.added = 0;
    new MutationObserver(all => {
      for (const { addedNodes } of all) window.added += [...addedNodes].filter(node => node.nodeType === 1).length;
    }).observe(document.body, { childList: true, subtree: true });
    window.moved = [];
  });
  const before = page.asked.length;
  await until('three more looks', () => page.asked.length >= before + 3);
  equal(await page.evaluate(() => window.added), 0, 'new elements');
  await stays(page);
  nothingToComplain(page);
});
