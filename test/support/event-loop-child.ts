// Serves an event loop that can be blocked from outside, and what its probe says of it.
import { createServer } from 'node:http';
import { Container } from 'inversify';
import { discoverProbes } from 'koa-probes';
import { EVENT_LOOP_LIMITS, EventLoopProbe } from 'koa-probes/event-loop';

const container = new Container();
container.bind(EVENT_LOOP_LIMITS).toConstantValue(JSON.parse(process.env['LIMITS'] ?? '{}'));
const probes = await discoverProbes(container, { classes: [EventLoopProbe], logger: false });

const say = async () => {
  const [result] = (await probes.run('liveness', { only: 'event-loop' })).results;
  return JSON.stringify({ ...result, error: String(result?.error) });
};

// Without a port nothing is left to do, and the process is expected to end.
const port = process.env['PORT'];
if (port === undefined) console.log(await say());
else {
  createServer((request, response) => {
    const endsAt = performance.now() + Number(new URL(request.url ?? '/', 'http://127.0.0.1').searchParams.get('block'));
    while (performance.now() < endsAt);
    void say().then((result) => response.end(result));
  }).listen(Number(port), '127.0.0.1');
}
