// Stages a resolver that is silent, in a process whose resolver is a server of its own: see names.ts. Says `bounded` for each probe that has passed the stage.
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { ProbeRegistry, type ProbeContext } from 'koa-probes';
import { checkHttp } from 'koa-probes/http';
import { checkMemjs } from 'koa-probes/memjs';
import { checkTcp } from 'koa-probes/tcp';
import memjs from 'memjs';
import { stageFault } from './faults.js';
import { until } from './processes.js';

const host = 'service.test';
let isSilent = false;

const resolver = createSocket('udp4');
resolver.on('message', (query, { port, address }: RemoteInfo) => {
  if (!isSilent) resolver.send(answerTo(query), port, address);
});
resolver.bind(53, process.env['RESOLVER']);
await once(resolver, 'listening');

const service = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
await once(service, 'listening');
const { port } = service.address() as AddressInfo;
const memcached = Number(process.env['MEMCACHED_PORT']);

const checks: Readonly<Record<string, (context: Pick<ProbeContext, 'signal'>) => Promise<void>>> = {
  tcp: (context) => checkTcp({ host, port }, context),
  http: (context) => checkHttp({ url: `http://${host}:${String(port)}/` }, context),
  memcached: (context) => checkMemjs({ servers: [new memjs.Server(host, memcached)] }, context),
};
const countLookups = () => process.getActiveResourcesInfo().filter((name) => name === 'GetAddrInfoReqWrap').length;

for (const [probe, check] of Object.entries(checks)) {
  const registry = new ProbeRegistry({ logger: false });
  registry.register({ name: probe, kinds: ['readiness'], check });
  await stageFault({
    registry,
    probe,
    fault: 'the DNS resolver does not respond',
    async begin() {
      isSilent = true;
      // More rounds than Node has threads for names and files: were each to take one, none would be left to read this file.
      for (let round = 0; round < 6; round += 1) {
        const problem: unknown = await check({ signal: AbortSignal.timeout(50) }).catch((error: unknown) => error);
        expect(String(problem)).to.match(/ for \d+ ms$/);
        expect(countLookups()).to.be.at.most(1);
      }
      let isRead = false;
      void readFile(fileURLToPath(import.meta.url)).then(() => (isRead = true));
      await until(() => isRead, 10_000);
    },
    end: () => (isSilent = false),
    waitsFor: 'the lookup in flight to end',
    reason: /^timed out after 800 ms: .*(no connection|no answer|no complete answer) for/,
  });
  registry.close();
  console.log(`${probe} is bounded`);
}
resolver.close();
service.close();

/** 127.0.0.1 for every name, and nothing for what is not asked of IPv4. */
function answerTo(query: Buffer): Buffer {
  const endOfName = query.indexOf(0, 12);
  const question = query.subarray(12, endOfName + 5);
  const isIpv4 = query.readUInt16BE(endOfName + 1) === 1;
  const header = Buffer.concat([query.subarray(0, 2), Buffer.from([0x81, 0x80, 0, 1, 0, isIpv4 ? 1 : 0, 0, 0, 0, 0])]);
  const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
  return Buffer.concat(isIpv4 ? [header, question, answer] : [header, question]);
}
