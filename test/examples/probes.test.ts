import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import amqplib from 'amqplib';
import { expect } from 'chai';
import { Container } from 'inversify';
import { Kafka, logLevel } from 'kafkajs';
import { discoverProbes, type ProbeClass, type ProbeResult } from 'koa-probes';
import { runProbe } from 'koa-probes/testing';
import { MongoClient } from 'mongodb';
import { AMQP, AmqpProbe } from '../../examples/probes/amqplib.js';
import { KAFKA_CONSUMER, KafkaConsumerProbe } from '../../examples/probes/kafkajs.js';
import { MONGO, MongoProbe } from '../../examples/probes/mongodb.js';
import { PRISMA, PrismaProbe } from '../../examples/probes/prisma.js';
import { connectPrisma } from '../support/prisma.js';
import { freePort, until } from '../support/processes.js';
import { postgresUrl, startPostgres } from '../support/services.js';

interface Example {
  readonly name: string;
  readonly probeClass: ProbeClass;
  /** Binds a real client before that port. It resolves to what closes the client. */
  readonly bind: (container: Container, port: number) => Promise<() => Promise<unknown>>;
  /** What the operator reads while the port is closed. */
  readonly refused: RegExp;
}

const examples: readonly Example[] = [
  {
    name: 'mongodb',
    probeClass: MongoProbe,
    async bind(container, port) {
      const client = new MongoClient(`mongodb://127.0.0.1:${String(port)}/`);
      container.bind(MONGO).toConstantValue(client);
      return () => client.close();
    },
    // The client retries for 30 s: it is the signal that ends the wait.
    refused: /timed out after 800 ms|ECONNREFUSED/,
  },
  {
    name: 'kafka',
    probeClass: KafkaConsumerProbe,
    async bind(container, port) {
      const kafka = new Kafka({
        brokers: [`127.0.0.1:${String(port)}`],
        logLevel: logLevel.NOTHING,
        connectionTimeout: 500,
        requestTimeout: 500,
        retry: { retries: 0 },
      });
      const consumer = kafka.consumer({ groupId: 'example' });
      container.bind(KAFKA_CONSUMER).toConstantValue(consumer);
      const connecting = consumer.connect().catch(() => {});
      return async () => {
        await connecting;
        await consumer.disconnect();
      };
    },
    refused: /has not joined its group yet/,
  },
  {
    name: 'amqp',
    probeClass: AmqpProbe,
    async bind(container, port) {
      const connection = await amqplib.connect(`amqp://127.0.0.1:${String(port)}`, {
        timeout: 5_000,
        recovery: { waitForConnect: false, maxDelay: 100 },
      });
      container.bind(AMQP).toConstantValue(connection);
      return () => connection.close();
    },
    refused: /no connection: .*ECONNREFUSED/,
  },
  {
    name: 'prisma',
    probeClass: PrismaProbe,
    async bind(container, port) {
      const client = connectPrisma(postgresUrl(port));
      container.bind(PRISMA).toConstantValue(client);
      return () => client.$disconnect();
    },
    refused: /Can't reach database server at 127\.0\.0\.1|timed out after 800 ms/,
  },
];

describe('examples/probes', () => {
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).toReversed()) await close();
  });

  const discover = async ({ bind, probeClass }: Example, port: number) => {
    const container = new Container();
    closers.push(await bind(container, port));
    const probes = await discoverProbes(container, { classes: [probeClass], logger: false });
    closers.push(async () => {
      probes.close();
      await container.unbindAllAsync();
    });
    return async () => (await probes.run('readiness')).results.at(-1) as ProbeResult;
  };
  const reasonOf = ({ error }: ProbeResult) => (error instanceof Error ? error.message : String(error));

  for (const example of examples) {
    describe(example.name, () => {
      it('is discovered, and fails in time while the port is closed', async () => {
        const ask = await discover(example, await freePort());
        // Until the client has found out.
        await until(async () => {
          const result = await ask();
          expect([result.name, result.status]).to.deep.equal([example.name, 'fail']);
          expect(result.durationMs).to.be.below(800 + 2_000);
          expect(reasonOf(result)).to.match(example.refused);
          return true;
        });
      });

      it('fails in time while the server is silent', async () => {
        const sockets: Socket[] = [];
        const silent = createServer((socket) => sockets.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
        closers.push(async () => {
          silent.close();
          for (const socket of sockets) socket.destroy();
        });
        await once(silent, 'listening');
        const container = new Container();
        closers.push(await example.bind(container, (silent.address() as AddressInfo).port));
        container.bind(example.probeClass).toSelf();
        const { name, status, durationMs } = await runProbe(container.get(example.probeClass));
        expect([name, status]).to.deep.equal([example.name, 'fail']);
        expect(durationMs).to.be.below(800 + 2_000);
      });
    });
  }

  describe('prisma before PostgreSQL', () => {
    it('passes while it answers, fails in time while it is frozen, and passes again', async () => {
      const postgres = await startPostgres();
      closers.push(() => postgres.stop());
      const ask = await discover(
        examples.find(({ name }) => name === 'prisma')!,
        postgres.port,
      );
      await until(async () => (await ask()).status === 'pass');
      postgres.freeze();
      try {
        expect(reasonOf(await ask())).to.match(/timed out after 800 ms|timeout/);
      } finally {
        postgres.thaw();
      }
      await until(async () => (await ask()).status === 'pass');
    });
  });
});
