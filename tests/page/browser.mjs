// Headless Chromium, and a page in it that must not err.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { assert, equal, keep } from './suite.mjs';

const OUTPUT = new URL('../../target/page/', import.meta.url).pathname;
const require = createRequire(OUTPUT);
const { chromium } = require('playwright-core');
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const DESK = { viewport: { width: 1280, height: 900 }, colorScheme: 'light' };
export const DARK = { ...DESK, colorScheme: 'dark' };
export const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: 'light', hasTouch: true, isMobile: true };
export const DARK_PHONE = { ...PHONE, colorScheme: 'dark' };

let browser = null;
export const launch = async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
};
export const close = () => browser.close();

/** The status page of a sidecar, with all that it asked for and complained of. */
export const open = async (url, options = DESK) => {
  const context = keep(await browser.newContext({ timezoneId: 'UTC', ...options }), one => one.close());
  const page = await context.newPage();
  page.asked = [];
  page.complaints = [];
  page.on('request', request => page.asked.push(request.url()));
  page.on('pageerror', error => page.complaints.push(String(error)));
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type())) page.complaints.push(message.text());
  });
  await page.addInitScript(() => {
    // Layout Instability API: what moved up or down by itself; words may grow to the side.
    window.moved = [];
    new PerformanceObserver(list => {
      for (const { node, previousRect, currentRect } of list.getEntries().flatMap(entry => entry.sources)) {
        if (previousRect.y !== currentRect.y) window.moved.push((node?.parentElement ?? node)?.outerHTML.slice(0, 99));
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await page.goto(url);
  return page;
};

/** Whether a complaint is only about a sidecar that is not there. */
const isOffline = complaint => complaint.includes('net::ERR_CONNECTION');

export const nothingToComplain = page => {
  equal(page.complaints.filter(complaint => !isOffline(complaint)), [], 'complaints');
};

/** The words of a verdict: `Not ready`, and its reasons. */
export const verdict = async (page, probe) => {
  const card = page.locator('.verdict').nth(['readiness', 'liveness', 'startup'].indexOf(probe));
  return {
    word: await card.locator('.word').innerText(),
    reasons: await card.locator('.reasons li').allInnerTexts(),
    kind: (await card.getAttribute('class')).replace('verdict ', ''),
  };
};

export const word = async (page, probe) => (await verdict(page, probe)).word;

/** The row of a check. */
export const row = (page, id) => page.locator(`[id="${id}"]`);

export const picture = (page, name) => page.screenshot({ path: `${OUTPUT}${name}.png` });

/** Nothing has moved up or down by itself. */
export const stays = async page => equal(await page.evaluate(() => window.moved), [], 'what moved');

/** No violation of WCAG 2.2 A and AA, nor of axe's best practices. */
export const accessible = async (page, about) => {
  await page.evaluate(AXE);
  const { found, looked } = await page.evaluate(async () => {
    const { violations, passes } = await window.axe.run();
    const told = ({ id, nodes }) => `${id}: ${nodes.map(node => node.html).slice(0, 3).join(' ')}`;
    return { found: violations.map(told), looked: passes.map(({ id }) => id) };
  });
  equal(found, [], about);
  assert(looked.includes('color-contrast'), 'axe looked at the contrast');
};

/** Nothing sticks out to the right. */
export const fits = async page => {
  const [content, window] = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return [scrollWidth, clientWidth];
  });
  assert(content <= window, `${content} px in a window of ${window} px`);
};
