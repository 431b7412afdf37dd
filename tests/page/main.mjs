// tests/page/run [PART OF A NAME]

import { close, launch } from './browser.mjs';
import { run } from './suite.mjs';

await import('./verdicts.mjs');
await import('./looks.mjs');
await import('./hostile.mjs');

await launch();
const failed = await run(process.argv[2] ?? '');
await close();
process.exitCode = failed ? 1 : 0;
