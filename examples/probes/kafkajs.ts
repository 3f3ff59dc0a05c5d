// Readiness of a Kafka consumer: it is a member of its group, and the group has heard of it lately.
import { inject, preDestroy, type ServiceIdentifier } from 'inversify';
import { NotReady, ReadinessProbe } from 'koa-probes';
import type { Consumer } from 'kafkajs';

export const KAFKA_CONSUMER: ServiceIdentifier<Consumer> = Symbol.for('example.KAFKA_CONSUMER');

/** `sessionTimeout` of the consumer, here its default: after so long without a heartbeat the broker gives its partitions to others. */
const SESSION_TIMEOUT_MS = 30_000;

/**
 * - It is tempting to connect an admin client and to ask for the cluster. That tells that brokers are there and nothing of this consumer, opens connections for every probe,
 *   and cannot be cancelled: kafkajs takes no signal, and retries five times with growing pauses long after the probe has been answered.
 * - The consumer tells all there is to know by its events, and a check that only reads them needs neither a bound nor a connection.
 * - A heartbeat is sent between two messages. A handler that takes longer than `sessionTimeout` without calling `heartbeat()` is thrown out of its group, and this sees it.
 * - After an error that cannot be retried the consumer crashes for good while the process lives on: `CRASH` says so, with `restart: false`.
 * - A consumer with no pod to take its place is no less of use for being late. Readiness is about requests: where the pod serves none, make this a metric and an alert.
 */
@ReadinessProbe({ name: 'kafka' })
export class KafkaConsumerProbe {
  readonly #removeListeners: readonly (() => void)[];
  #heardAt: number | undefined;
  #problem = 'the consumer has not joined its group yet';

  constructor(@inject(KAFKA_CONSUMER) consumer: Consumer) {
    const { GROUP_JOIN, HEARTBEAT, CRASH, DISCONNECT, STOP } = consumer.events;
    this.#removeListeners = [
      consumer.on(GROUP_JOIN, () => this.#hear()),
      consumer.on(HEARTBEAT, () => this.#hear()),
      consumer.on(CRASH, ({ payload }) =>
        this.#lose(`the consumer crashed${payload.restart ? ' and starts again' : ' for good'}: ${payload.error.message}`),
      ),
      consumer.on(DISCONNECT, () => this.#lose('the consumer is disconnected')),
      consumer.on(STOP, () => this.#lose('the consumer was stopped')),
    ];
  }

  check(): { heartbeatAgeMs: number } {
    if (this.#heardAt === undefined) throw new Error(this.#problem);
    const heartbeatAgeMs = Math.round(performance.now() - this.#heardAt);
    if (heartbeatAgeMs > SESSION_TIMEOUT_MS)
      throw new NotReady('the Kafka consumer has sent no heartbeat for longer than its session lasts');
    return { heartbeatAgeMs };
  }

  @preDestroy()
  close(): void {
    for (const removeListener of this.#removeListeners) removeListener();
  }

  #hear(): void {
    this.#heardAt = performance.now();
  }

  #lose(problem: string): void {
    this.#heardAt = undefined;
    this.#problem = problem;
  }
}
