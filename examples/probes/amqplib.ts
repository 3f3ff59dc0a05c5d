// Readiness of RabbitMQ: the connection is there, it is not blocked, and the broker answers on it.
import { inject, preDestroy, type ServiceIdentifier } from 'inversify';
import { ReadinessProbe, type ProbeContext } from 'koa-probes';
import type { Channel, RecoveringChannelModel } from 'amqplib';

/**
 * Connect with `{ timeout: 5_000, recovery: { waitForConnect: false } }`. Without the one a broker that accepts and says nothing is waited for without an end, and never tried again;
 * without the other the application, and with it the probe, does not start before the broker does.
 */
export const AMQP: ServiceIdentifier<RecoveringChannelModel> = Symbol.for('example.AMQP');

/**
 * - A broker that is short of memory or disk blocks who publishes: the connection stays open, answers, and takes no message any more. Only the event `blocked` says so.
 * - Without `recovery` a lost connection stays lost, and the model emits `close` and nothing else. With it, `createChannel()` waits for the next connection: as long as there
 *   is none, this does not ask.
 * - `checkQueue()` closes its channel where the queue is missing: never on a channel of the application. A channel that is opened and closed again is a round trip and leaves nothing.
 * - No call takes a signal. A channel that comes too late is closed when it comes; one that never comes is rejected when the heartbeat (`?heartbeat=10`) gives the connection up.
 * - An `error` without a listener ends the process.
 */
@ReadinessProbe({ name: 'amqp' })
export class AmqpProbe {
  readonly #listeners = {
    connect: () => (this.#problem = undefined),
    disconnect: (error: Error) => (this.#problem = `the connection is lost: ${error.message}`),
    'connect-failed': (error: Error) => (this.#problem = `no connection: ${error.message}`),
    'reconnect-failed': (error: Error) => (this.#problem = `no connection, and no further try: ${error.message}`),
    blocked: (reason: string) => (this.#problem = `the broker takes no messages: ${reason}`),
    unblocked: () => (this.#problem = undefined),
    error: () => {},
  };
  #problem: string | undefined = 'not connected yet';

  constructor(@inject(AMQP) private readonly connection: RecoveringChannelModel) {
    for (const [event, listener] of Object.entries(this.#listeners)) connection.on(event, listener);
  }

  async check({ signal }: ProbeContext): Promise<void> {
    if (this.#problem !== undefined) throw new Error(this.#problem);
    const opening = this.connection.createChannel();
    const onAbort = () => void opening.then(closeQuietly, () => {});
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const channel = await opening;
      if (!signal.aborted) await channel.close();
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  @preDestroy()
  close(): void {
    for (const [event, listener] of Object.entries(this.#listeners)) this.connection.off(event, listener);
  }
}

async function closeQuietly(channel: Channel): Promise<void> {
  await channel.close().catch(() => {});
}
