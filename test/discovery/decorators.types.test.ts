import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { compile, projectPath, runNode } from '../support/consumer.js';

const modes = {
  standard: 'standard decorators',
  legacy: 'legacy decorators',
  metadata: 'legacy decorators and metadata',
} as const;
type Mode = keyof typeof modes;

const fixtures = 'test/fixtures/types';
const rejected = `${fixtures}/rejected.ts`;

for (const [mode, title] of Object.entries(modes) as [Mode, string][]) {
  describe(`a decorated class, compiled with ${title}`, function () {
    this.timeout(60_000);
    let output: string;
    let diagnostics: readonly Diagnostic[];

    before(async () => {
      output = await compile('typescript', ['--project', `${fixtures}/tsconfig.${mode}.json`], projectPath());
      diagnostics = readDiagnostics(output);
    });

    it('compiles if it has a `check` method', () => {
      expect(diagnostics.filter(({ file }) => file !== rejected)).to.deep.equal([]);
    });

    it('does not compile if it cannot be a probe or an option is wrong', () => {
      expect(diagnostics.filter(({ file }) => file === rejected)).to.deep.equal(readExpectations());
    });

    it('leads to a compiler error that names the missing `check`', () => {
      expect(output).to.include("Property 'check' is missing in type 'WithoutCheckProbe'");
    });

    it('is found and passes', async () => {
      expect(await runFixture(mode, 'decorated')).to.deep.equal([
        { kind: 'liveness', status: 'pass', names: ['lifecycle', 'manifold'] },
        { kind: 'readiness', status: 'pass', names: ['lifecycle', 'silent', 'with-context', 'manifold', 'bound', 'inheriting'] },
        { kind: 'startup', status: 'pass', names: ['manifold'] },
      ]);
    });

    if (mode === 'metadata') {
      it('gets its constructor arguments injected by type with no other decorator than that of the probe', async () => {
        expect(await runFixture(mode, 'injected')).to.deep.equal({ status: 'pass', data: { shards: 5 } });
      });
    } else {
      it('fails the start and is named in the error if its constructor arguments have no injection', async () => {
        const error = await runFixture(mode, 'injected');
        expect(error).to.have.property('name', 'ConfigurationError');
        expect(error).to.have.property('message').that.includes('IndexProbe');
      });
    }
  });
}

interface Diagnostic {
  readonly file: string;
  readonly line: number;
  readonly code: string;
}

/** Every line that is not indented begins a diagnostic. */
function readDiagnostics(output: string): Diagnostic[] {
  const lines = output.split('\n').filter((line) => /^\S/.test(line));
  return lines.map((line) => {
    const [, file, number, code] = /^(.+)\((\d+),\d+\): error (TS\d+):/.exec(line) ?? [];
    if (file === undefined || code === undefined) throw new Error(`The compiler itself failed:\n${output}`);
    return { file, line: Number(number), code };
  });
}

/** The codes stand at the end of the lines that are expected to have them. */
function readExpectations(): Diagnostic[] {
  const lines = readFileSync(projectPath(rejected), 'utf8').split('\n');
  return lines.flatMap((text, index) => {
    const [, codes = ''] = /\/\/ ((?:TS\d+ ?)+)$/.exec(text) ?? [];
    return [...codes.matchAll(/TS\d+/g)].map(([code]) => ({ file: rejected, line: index + 1, code }));
  });
}

async function runFixture(mode: Mode, name: string): Promise<unknown> {
  return JSON.parse(await runNode([`build/fixtures/types/${mode}/${name}.js`], projectPath()));
}
