import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect } from 'chai';
import { gracefulShutdown, ProbeRegistry, type ProbeMessages } from 'koa-probes';

describe('the channel koa-probes:shutdown', () => {
  it('publishes each phase of a shutdown with its registry', async () => {
    const messages: ProbeMessages['koa-probes:shutdown'][] = [];
    const keep = (message: unknown) => void messages.push(message as ProbeMessages['koa-probes:shutdown']);
    subscribe('koa-probes:shutdown', keep);
    const { exitCode } = process;
    try {
      const registry = new ProbeRegistry({ logger: false });
      await gracefulShutdown([], registry, { exit: false, signals: [] }).shutdown('a test');
      expect(messages.map(({ phase }) => phase)).to.deep.equal(['draining', 'closing', 'hooks', 'deactivating', 'finished']);
      for (const message of messages) expect(message).to.include({ registry, reason: 'a test' });
    } finally {
      unsubscribe('koa-probes:shutdown', keep);
      process.exitCode = exitCode;
    }
  });
});
