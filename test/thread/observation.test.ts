import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import winston from 'winston';
import { Writable } from 'node:stream';
import { expect } from 'chai';
import { ProbeRegistry, probeServer, type EventLoopBlock, type ProbeMessages } from 'koa-probes';
import { probeTelemetry } from 'koa-probes/opentelemetry';
import { probeMetrics } from 'koa-probes/prometheus';
import { Registry } from 'prom-client';
import { createMeters } from '../support/opentelemetry.js';

/** It seldom reads the clock: the stack is to show this function, and not what it calls. */
function blockHere(ms: number): number {
  const endsAt = performance.now() + ms;
  let sum = 0;
  while (performance.now() < endsAt) for (let left = 100_000; left > 0; left -= 1) sum += Math.sqrt(left);
  return sum;
}

describe('a block of the event loop that a thread has seen', () => {
  let probes: ProbeRegistry;
  let lines: Record<string, unknown>[];

  beforeEach(async () => {
    lines = [];
    const stream = new Writable({
      write(chunk: Buffer, _, done) {
        lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
        done();
      },
    });
    probes = new ProbeRegistry({ logger: winston.createLogger({ transports: [new winston.transports.Stream({ stream })] }) });
  });
  afterEach(() => probes.close());

  /** Resolves when it is over. */
  const block = async (ms: number) => {
    const over = once(probes, 'block') as Promise<[EventLoopBlock]>;
    // The thread looks at it before.
    await new Promise((resolve) => setTimeout(resolve));
    blockHere(ms);
    return (await over)[0];
  };

  it('is an event, a message, a line with its fields, and counted by the metrics', async () => {
    const messages: ProbeMessages['koa-probes:block'][] = [];
    const keep = (message: unknown) => messages.push(message as ProbeMessages['koa-probes:block']);
    subscribe('koa-probes:block', keep);
    const register = new Registry();
    const meters = createMeters();
    probeMetrics(probes, { register });
    probeTelemetry(probes, { meterProvider: meters.meterProvider });
    try {
      await probeServer(probes, { port: 0, host: '127.0.0.1', thread: true, notReadyAfterMs: 100 });
      const text = await register.metrics();
      expect(text)
        .to.match(/^koa_probes_event_loop_blocks_total 0$/m)
        .and.to.match(/^koa_probes_event_loop_blocked_seconds_total 0$/m);
      const told = await block(1_000);
      const { by, stack, durationMs } = told;
      expect(by).to.match(/\bblockHere \(test\/thread\/observation\.test\.ts:\d+:\d+\)$/);
      expect(stack.some((frame) => frame.startsWith('blockHere ('))).to.equal(true);
      expect(messages).to.deep.equal([{ registry: probes, ...told }]);
      expect(lines.find(({ message }) => String(message).includes(' was blocked '))).to.deep.include({
        level: 'warn',
        message: `koa-probes: the event loop was blocked for ${durationMs < 1_000 ? `${String(Math.round(durationMs))} ms` : `${String(Math.round(durationMs / 100) / 10)} s`} by ${by ?? ''}`,
        durationMs: Math.round(durationMs),
        reason: by,
        stack: stack.join('\n'),
      });
      const counted = await register.metrics();
      expect(counted).to.match(/^koa_probes_event_loop_blocks_total 1$/m);
      expect(counted).to.include(`koa_probes_event_loop_blocked_seconds_total ${String(durationMs / 1_000)}\n`);
      expect(await meters.valueOf('koa_probes.event_loop.blocks', {})).to.equal(1);
      expect(await meters.valueOf('koa_probes.event_loop.blocked_time', {})).to.equal(durationMs / 1_000);
      register.resetMetrics();
      expect(await register.metrics()).to.match(/^koa_probes_event_loop_blocks_total 0$/m);
    } finally {
      unsubscribe('koa-probes:block', keep);
      await meters.stop();
    }
  });

  it('is told of at the shortest `notReadyAfterMs` of several servers', async () => {
    await probeServer(probes, { port: 0, host: '127.0.0.1', thread: true, notReadyAfterMs: 60_000, deadAfterMs: 120_000 });
    await probeServer(probes, { port: 0, host: '127.0.0.1', thread: true, notReadyAfterMs: 100 });
    expect((await block(1_000)).durationMs).to.be.within(500, 10_000);
  });
});
