// Outputs that want to be more than text, and outputs that nobody is to see.

import { DESK, fits, nothingToComplain, open, PHONE, picture, row, verdict } from './browser.mjs';
import { Sidecar } from './sidecar.mjs';
import { assert, equal, keep, test, until } from './suite.mjs';

const MARKUP = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2"><b id=planted>';
/** Markup, a terminal's escapes, text that runs backwards, bytes that are no text, and a line of 10 KB. */
const SCRIPT = `printf '%s\\n' '${MARKUP}'; printf '\\033[31mred\\033[0m \\342\\200\\256backwards \\377\\376 no text\\n'; `
  + 'head -c 9000 /dev/zero | tr "\\0" x; exit 1';

const sidecarWith = async env => keep(await Sidecar.start({
  READINESS_PERIOD_SECONDS: '0.1',
  READINESS_EVIL: `exec:${JSON.stringify(['sh', '-c', SCRIPT])}`,
  [`READINESS_${'VERY_LONG_NAME_'.repeat(8)}END`]: `http://127.0.0.1:1/${'a'.repeat(3000)}?${encodeURIComponent(MARKUP)}`,
  ...env,
}), one => one.stop());

const unhealthy = sidecar => until('it fails', async () =>
  (await sidecar.status()).checks.every(({ state, last }) => last && state === 'unhealthy'));

test('hostile output is text and nothing else', async () => {
  const sidecar = await sidecarWith({});
  await unhealthy(sidecar);
  for (const [name, options] of Object.entries({ hostile: DESK, 'hostile-phone': PHONE })) {
    const page = await open(sidecar.url, options);
    await row(page, 'readiness/evil').waitFor();
    assert((await verdict(page, 'readiness')).reasons[0].startsWith(`evil${MARKUP.slice(0, 40)}`), 'the card shows it as text');
    const panel = row(page, 'readiness/evil').locator('.panel');
    assert(await panel.isVisible(), 'a long output is open at once');
    const output = await panel.locator('pre').textContent();
    assert(output.startsWith(`${MARKUP}\n`), output.slice(0, 200));
    assert(output.includes('\\u{1b}[31mred\\u{1b}[0m \\u{202e}backwards \ufffd\ufffd no text\n'), output.slice(90, 300));
    assert(output.endsWith('xxx…') && output.length < 1_100, `${output.length} characters`);
    equal(await page.evaluate(() => [window.hacked, document.querySelector('#planted, img, b script')]), [undefined, null].map(x => x ?? null), 'nothing came to life');
    await picture(page, name);
    await fits(page);
    nothingToComplain(page);
    await page.close();
  }
});

test('the table keeps hostile output off the terminal', async () => {
  const sidecar = await sidecarWith({});
  await unhealthy(sidecar);
  const table = await sidecar.run('get', 'status');
  assert(table.includes('NOT READY for') && table.includes('evil: <script>'), table.slice(0, 400));
  const document = await sidecar.run('get', 'status', '--json');
  equal(JSON.parse(document).checks.length, 2);
  for (const text of [table, document]) {
    equal(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/.exec(text)?.[0] ?? null, null, 'a control character');
  }
});

test('the table has colour on a terminal alone', async () => {
  const sidecar = await sidecarWith({});
  await unhealthy(sidecar);
  const RED = '\u001b[1;31mNOT READY\u001b[0m for ';
  const coloured = await sidecar.runOnTerminal({}, 'get', 'status');
  assert(coloured.includes(RED), JSON.stringify(coloured.slice(0, 200)));
  for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
    const plain = await sidecar.runOnTerminal(env, 'get', 'status');
    assert(plain.includes('NOT READY for ') && !plain.includes('\u001b'), JSON.stringify([env, plain.slice(0, 200)]));
  }
});

test('without details neither page nor document tells a reason', async () => {
  const sidecar = await sidecarWith({ HEALTH_PROXY_DETAILS: 'false' });
  await unhealthy(sidecar);
  const page = await open(sidecar.url);
  await row(page, 'readiness/evil').waitFor();
  equal((await verdict(page, 'readiness')).reasons[0], 'evilreason withheld');
  await row(page, 'readiness/evil').getByRole('button').click();
  assert((await page.locator('#sidecar').innerText()).includes('reasons withheld'), 'the page says so');
  const texts = {
    page: await page.evaluate(() => {
      const copy = document.documentElement.cloneNode(true);
      for (const node of copy.querySelectorAll('.target, .p-target')) node.remove();
      return copy.outerHTML.replace(/<script>[^]*<\/script>/, '');
    }),
    document: JSON.stringify(await sidecar.status(), (key, value) => (key === 'target' ? '' : value)),
    table: (await sidecar.run('get', 'status')).replace(/exec:.*?\s{2}|http:\S+/g, ''),
  };
  for (const [name, text] of Object.entries(texts)) {
    for (const secret of ['hacked', 'backwards', 'xxx', 'refused']) assert(!text.includes(secret), `${secret} in the ${name}`);
    assert(text.includes('reason withheld'), `the ${name} says that there is one`);
  }
  nothingToComplain(page);
});
