// The real sidecar, and an app for it to watch.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const BINARY = new URL('../../target/debug/health-proxy', import.meta.url).pathname;

/** An app that passes or fails as its `paths` say: `{ '/ready': 200 }`. */
export class App {
  static async start(paths) {
    const app = new App();
    app.paths = paths;
    app.server = createServer((request, response) => {
      response.statusCode = app.paths[request.url] ?? 404;
      response.end();
    });
    app.server.listen(0, '127.0.0.1');
    await once(app.server, 'listening');
    app.port = app.server.address().port;
    return app;
  }

  async stop() {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }
}

/** A running `health-proxy`. */
export class Sidecar {
  /** Starts it with these checks; the port is kept over restarts. */
  static async start(env) {
    const sidecar = new Sidecar();
    sidecar.env = env;
    sidecar.port = 0;
    await sidecar.restart();
    return sidecar;
  }

  async restart() {
    const env = { PATH: process.env.PATH, HEALTH_PROXY_LOG_FORMAT: 'json', ...this.env };
    env.HEALTH_PROXY_LISTEN = `127.0.0.1:${this.port}`;
    this.process = spawn(BINARY, [], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    this.ended = once(this.process, 'exit');
    this.port = await this.#port();
    this.url = `http://127.0.0.1:${this.port}/`;
  }

  async #port() {
    for await (const line of createInterface({ input: this.process.stdout })) {
      const { message, address } = JSON.parse(line);
      if (message === 'listening') {
        this.process.stdout.resume();
        return Number(address.split(':').at(-1));
      }
    }
    throw new Error('the sidecar ended before it listened');
  }

  async status() {
    return (await fetch(`${this.url}status`)).json();
  }

  /** Ends it, and waits until it has. */
  async stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    await this.ended;
  }

  /** Kills the worker alone; its supervisor starts another one. */
  async killWorker() {
    const { pid } = this.process;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    process.kill(Number(children.trim().split(' ')[0]), 'SIGKILL');
  }

  /** Runs the command line against it, and gives what it prints. */
  run(...words) {
    return this.#print(BINARY, words, {});
  }

  /** The same on a terminal (`script` is a part of every Debian). */
  runOnTerminal(env, ...words) {
    return this.#print('script', ['-qec', [BINARY, ...words].join(' '), '/dev/null'], { TERM: 'xterm', ...env });
  }

  async #print(program, words, more) {
    const env = { PATH: process.env.PATH, HEALTH_PROXY_LISTEN: `127.0.0.1:${this.port}`, ...more };
    const child = spawn(program, words, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', part => { output += part; });
    await once(child, 'close');
    return output;
  }
}
