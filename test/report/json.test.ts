import { expect } from 'chai';
import { NotReady, ProbeRegistry, probeServer, type ProbeDefinition } from 'koa-probes';
import { ask, urlOf } from '../support/http.js';

interface Body {
  readonly status: string;
  readonly notes?: readonly string[];
  readonly checks: Readonly<Record<string, readonly { readonly status: string; readonly output?: string; readonly data?: object }[]>>;
}

async function readyz(...checks: ProbeDefinition['check'][]): Promise<{ body: Body; text: string }> {
  const registry = new ProbeRegistry({ logger: false });
  for (const [index, check] of checks.entries()) registry.register({ name: `check-${String(index)}`, kinds: ['readiness'], check });
  const server = await probeServer(registry, { port: 0, host: '127.0.0.1', details: 'all' });
  try {
    const { body } = await ask(`${urlOf(server)}/readyz`, { headers: { accept: 'application/json' } });
    expect(Buffer.byteLength(body)).to.be.at.most(10_240);
    return { body: JSON.parse(body) as Body, text: body };
  } finally {
    registry.close();
  }
}

describe('the JSON response', () => {
  const large = () => Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`key${String(index)}`, 'x'.repeat(900)]));

  it('keeps a passing check without its data if the data does not fit, and says so', async () => {
    const { body } = await readyz(large, () => ({ count: 1 }));
    expect(body.checks['check-0']?.[0]).to.include({ status: 'pass' }).and.not.to.have.property('data');
    expect(body.checks['check-1']?.[0]?.data).to.deep.equal({ count: 1 });
    expect(body.notes).to.deep.equal(['the data of check-0 is not shown: the response would be too long']);
  });

  it('shows every check before the data of any check', async () => {
    const sevenKilobytes = () => Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`key${String(index)}`, 'x'.repeat(990)]));
    const { body } = await readyz(...Array.from({ length: 40 }, () => sevenKilobytes));
    expect(Object.keys(body.checks)).to.have.length(41);
    expect(body.notes?.[0]).to.match(/^the data of check-\d+ and 39 more is not shown/);
  });

  it('keeps data with multibyte and escaped characters within its limit', async () => {
    const { body } = await readyz(...Array.from({ length: 30 }, () => () => ({ text: '\u202e日本"\\'.repeat(150) })));
    expect(Object.keys(body.checks)).to.have.length(31);
  });

  it('escapes invisible characters in data and in reasons', async () => {
    const { body, text } = await readyz(
      () => ({ 'na\u202eme': 'a\u200bb\u2028c\u0085d' }),
      () => {
        throw new NotReady('left\u2066right');
      },
    );
    expect(text).not.to.match(/[\u0080-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/);
    expect(body.checks['check-0']?.[0]?.data).to.deep.equal({ 'na\u202eme': 'a\u200bb\u2028c\u0085d' });
    expect(body.checks['check-1']?.[0]?.output).to.equal('leftright');
  });
});
