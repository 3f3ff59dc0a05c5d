// Three things to deactivate: the first that is called and the last fail where they are told to, and the one between needs a while.
import { setTimeout as pause } from 'node:timers/promises';
import { Container } from 'inversify';
import { discoverProbes, gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const container = new Container();

function bind(name: string, deactivate: () => void | Promise<void>): void {
  container.bind<string>(name).toConstantValue(name).onDeactivation(deactivate);
  container.get(name);
}

bind('cache', async () => {
  console.log('cache deactivated');
  if (process.env['FAIL'] === 'yes') throw new Error('the cache would not close');
});
bind('database', async () => {
  await pause(100);
  console.log('database deactivated');
});
bind('broker', () => {
  console.log('broker deactivated');
  if (process.env['FAIL'] === 'yes') throw new Error('the broker would not close');
});
const probes = await discoverProbes(container, { classes: [] });
const { server } = await startApplication(probes);
gracefulShutdown(server, probes, { drainDelayMs: 0, timeoutMs: 10_000 }).onShutdown('queue', () => console.log('queue closed'));
announce(server);
