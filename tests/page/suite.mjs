// Cases one after another, and what the test run needs to know of them at the end.

const cases = [];
const leftovers = [], atTheEnd = [];

/** Adds a case. */
export const test = (name, body) => cases.push({ name, body });

/** Ends `thing` after the case, whatever becomes of it. */
export const keep = (thing, end) => {
  leftovers.push(() => end(thing));
  return thing;
};

/** Ends `thing` after the last case. */
export const keepForAll = (thing, end) => {
  atTheEnd.push(() => end(thing));
  return thing;
};

export const assert = (isTrue, message) => {
  if (!isTrue) throw new Error(message);
};

export const equal = (found, expected, about = '') => {
  const [left, right] = [found, expected].map(value => JSON.stringify(value));
  assert(left === right, `${about}\n  found    ${left}\n  expected ${right}`);
};

/** Waits until `probe` gives something true, and gives that. */
export const until = async (about, probe, seconds = 10) => {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert(Date.now() < deadline, `not within ${seconds} s: ${about}`);
    await new Promise(resolve => { setTimeout(resolve, 25); });
  }
};

const endAll = async things => {
  for (const end of things.splice(0).reverse()) await end();
};

/** Runs the cases whose name holds `only`; gives how many failed. */
export const run = async only => {
  let passed = 0, failed = 0;
  for (const { name, body } of cases.filter(one => one.name.includes(only))) {
    const began = Date.now();
    try {
      await body();
      passed += 1;
      console.log(`ok      ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
    }
    await endAll(leftovers);
  }
  await endAll(atTheEnd);
  console.log(`${passed} passed, ${failed} failed`);
  return passed === 0 ? 1 : failed;
};
