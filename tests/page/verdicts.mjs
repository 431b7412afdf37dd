// What the page says while the app and the sidecar fail and recover.

import { request } from 'node:http';

import { nothingToComplain, open, picture, row, stays, verdict, word } from './browser.mjs';
import { App, Sidecar } from './sidecar.mjs';
import { assert, equal, keep, test, until } from './suite.mjs';

/** An app with a sidecar that looks ten times a second. */
const pair = async (more = {}, healthz = 200) => {
  const app = keep(await App.start({ '/healthz': healthz, '/ready': 200 }), one => one.stop());
  const sidecar = await Sidecar.start({
    STARTUP_WEB: `http://127.0.0.1:${app.port}/healthz`,
    LIVENESS_WEB: `http://127.0.0.1:${app.port}/healthz`,
    READINESS_WEB: `http://127.0.0.1:${app.port}/ready`,
    STARTUP_PERIOD_SECONDS: '0.1',
    LIVENESS_PERIOD_SECONDS: '0.1',
    READINESS_PERIOD_SECONDS: '0.1',
    HEALTH_PROXY_LIVENESS_HOLD_SECONDS: '0',
    ...more,
  });
  return { app, sidecar: keep(sidecar, one => one.stop()) };
};

const says = (page, probe, expected) =>
  until(`${probe} is ${expected}`, async () => (await word(page, probe)) === expected);

test('the verdicts flip when the app fails and recovers, in place', async () => {
  const { app, sidecar } = await pair();
  const page = await open(sidecar.url);
  await says(page, 'readiness', 'Ready');
  await says(page, 'liveness', 'Live');
  await says(page, 'startup', 'Started');
  equal(await page.title(), `✓ Ready · ${(await sidecar.status()).host}`);
  await page.evaluate(() => { for (const node of document.querySelectorAll('.check, .verdict')) node.isTheSame = true; });
  await page.evaluate(() => { window.moved = []; });

  app.paths['/ready'] = 503;
  await says(page, 'readiness', 'Not ready');
  const found = await verdict(page, 'readiness');
  equal([found.kind, found.reasons], ['bad', ['webHTTP probe failed with statuscode: 503']]);
  equal(await word(page, 'liveness'), 'Live');
  assert((await row(page, 'readiness/web').innerText()).includes('Unhealthy'), 'the check says so too');
  assert((await page.title()).startsWith('✕ Not ready'), 'the title says so too');
  assert((await page.locator('#said').textContent()).includes('Readiness: Not ready. web: HTTP probe failed'), 'it is announced');

  app.paths['/healthz'] = 500;
  await says(page, 'liveness', 'Not live');
  app.paths['/ready'] = app.paths['/healthz'] = 200;
  await says(page, 'readiness', 'Ready');
  await says(page, 'liveness', 'Live');
  assert(await page.evaluate(() => [...document.querySelectorAll('.check, .verdict')].every(node => node.isTheSame)), 'no node was replaced');
  await stays(page);
  nothingToComplain(page);
});

test('a streak against its threshold is told before the state flips', async () => {
  const { app, sidecar } = await pair({ READINESS_WEB_FAILURE_THRESHOLD: '1000' });
  const page = await open(sidecar.url);
  await says(page, 'readiness', 'Ready');
  app.paths['/ready'] = 503;
  const streak = row(page, 'readiness/web').locator('.streak');
  await until('failures are counted', async () => /^\d+ of 1000 failures\s+until unhealthy$/.test(await streak.innerText()));
  equal(await word(page, 'readiness'), 'Ready');
});

test('a lost connection is told, and made up for', async () => {
  const { sidecar } = await pair();
  const page = await open(sidecar.url);
  await says(page, 'readiness', 'Ready');
  await sidecar.stop('SIGKILL');
  await says(page, 'readiness', 'Readiness unknown');
  const { reasons } = await verdict(page, 'readiness');
  assert(/^Ready when last seen, at \d\d:\d\d:\d\d\.$/.test(reasons[0]), reasons[0]);
  assert(/Connection lost for .* last seen \d\d:\d\d:\d\d · trying again/.test(await page.locator('#link').innerText()), 'the header says so');
  assert((await page.title()).startsWith('? Connection lost'), 'the title says so');
  await picture(page, 'lost');
  await sidecar.restart();
  await says(page, 'readiness', 'Ready');
  assert(/updating, \d\d:\d\d:\d\d/.test(await page.locator('#link').innerText()), 'the header is right again');
  nothingToComplain(page);
});

test('a worker that dies is not noticed', async () => {
  const { sidecar } = await pair();
  const page = await open(sidecar.url);
  await says(page, 'readiness', 'Ready');
  await page.evaluate(() => {
    window.words = new Set();
    new MutationObserver(() => window.words.add(document.querySelector('#link-text').textContent))
      .observe(document.querySelector('#link-text'), { childList: true, characterData: true, subtree: true });
  });
  // A connection that the old worker had accepted goes with it: the page must not mind, nor do we.
  const metrics = () => fetch(`${sidecar.url}metrics`).then(answer => answer.text(), () => '');
  await sidecar.killWorker();
  await until('the new worker answers', async () => /_restarts_total\{cause="death"\} 1/.test(await metrics()));
  const looks = page.asked.length;
  await until('two more looks', () => page.asked.length >= looks + 2);
  await says(page, 'readiness', 'Ready');
  assert(await page.evaluate(() => ![...window.words].some(words => words.includes('lost'))), 'no lost connection');
});

test('a new incarnation is told, and what came before is pale', async () => {
  // Without a witness, the kubelet is believed.
  const { sidecar } = await pair({ STARTUP_WEB: 'exec:true' });
  const page = await open(sidecar.url);
  await says(page, 'startup', 'Started');
  equal(await page.locator('#number').innerText(), '1');
  const ask = () => fetch(`${sidecar.url}startupz`, { headers: { 'User-Agent': 'kube-probe/1.36' } });
  equal([(await ask()).status, (await ask()).status], [200, 503], 'a question after the answer');
  await until('the next incarnation', async () => (await page.locator('#number').innerText()) === '2');
  assert(/^took \d+(\.\d)? ms$/.test(await until('it has started', async () => {
    const startup = await page.locator('#startup').innerText();
    return startup.startsWith('took') && startup;
  })), 'how long startup took');
  const pale = await row(page, 'readiness/web').locator('.old').getAttribute('width');
  assert(Number(pale) > 0, `${pale} are pale`);
});

test('checks that wait for startup say so', async () => {
  const { sidecar } = await pair({ READINESS_DB: 'tcp://127.0.0.1:1', STARTUP_FAILURE_THRESHOLD: '1000' }, 503);
  const page = await open(sidecar.url);
  await says(page, 'startup', 'Not started');
  await until('the check waits', async () => (await row(page, 'readiness/db').innerText()).includes('after startup'));
  const { reasons } = await verdict(page, 'readiness');
  equal(reasons[0], 'startupweb: HTTP probe failed with statuscode: 503', 'what is known comes first');
  equal(await page.locator('.reasons a').first().getAttribute('href'), '#startup/web', 'and leads to its check');
  equal(await page.locator('#count').innerText(), '1 of 4 failing', 'what waits is not to blame');
  assert((await row(page, 'readiness/db').locator('.state').innerText()).includes('Waiting'), 'its state');
  equal(await word(page, 'liveness'), 'Live');
});

test('it works behind a path, as kubectl proxy gives it', async () => {
  const { sidecar } = await pair();
  const { createServer } = await import('node:http');
  const prefix = '/api/v1/namespaces/default/pods/web:9809/proxy';
  const proxy = createServer((inner, outer) => {
    const path = inner.url.slice(prefix.length);
    assert(inner.url.startsWith(prefix), inner.url);
    request(`${sidecar.url}${path.slice(1)}`, answer => {
      outer.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outer);
    }).end();
  });
  await new Promise(resolve => { proxy.listen(0, '127.0.0.1', resolve); });
  keep(proxy, one => { one.close(); one.closeAllConnections(); });
  const page = await open(`http://127.0.0.1:${proxy.address().port}${prefix}/`);
  await says(page, 'readiness', 'Ready');
  nothingToComplain(page);
});

test('without JavaScript it says where else to look', async () => {
  const { sidecar } = await pair();
  const page = await open(sidecar.url, { javaScriptEnabled: false });
  assert((await page.locator('noscript').innerText()).includes('readyz'), 'the note');
});
