// The container's own deactivation, which fails where it is told to.
import { Container } from 'inversify';
import { discoverProbes, gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const container = new Container();
container
  .bind<{ name: string }>('database')
  .toConstantValue({ name: 'database' })
  .onDeactivation(({ name }) => {
    console.log(`${name} deactivated`);
    if (process.env['FAIL'] === 'yes') throw new Error('it would not close');
  });
const probes = await discoverProbes(container, { classes: [] });
container.get('database');
const { server } = await startApplication(probes);
gracefulShutdown(server, probes, { drainDelayMs: 0, timeoutMs: 10_000 }).onShutdown('queue', () => console.log('queue closed'));
announce(server);
