import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './processes.js';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** What it is for: `IP:127.0.0.1` or `DNS:name`. */
  readonly names?: string;
  /** From now; negative: it has expired. */
  readonly days?: number;
}

/** An authority of the test's own, made by openssl in a folder that goes with it. */
export class Authority {
  #folder = mkdtempSync(join(tmpdir(), 'koa-probes-tls-'));
  #count = 0;

  async start(): Promise<this> {
    const args = ['-x509', '-days', '1', '-subj', '/CN=koa-probes test', '-keyout', 'ca.key', '-out', 'ca.crt'];
    await this.#openssl('req', ...KEY, ...args);
    return this;
  }

  get ca(): string {
    return this.#read('ca.crt');
  }

  async issue({ names = 'IP:127.0.0.1', days = 1 }: CertificateOptions = {}): Promise<Certificate> {
    this.#count += 1;
    const file = String(this.#count);
    writeFileSync(join(this.#folder, `${file}.ext`), `subjectAltName=${names}`);
    await this.#openssl('req', ...KEY, '-subj', '/CN=server', '-keyout', `${file}.key`, '-out', `${file}.csr`);
    const authority = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'];
    const args = ['-in', `${file}.csr`, '-out', `${file}.crt`, '-extfile', `${file}.ext`, '-days', String(days)];
    await this.#openssl('x509', '-req', ...authority, ...args);
    return { cert: this.#read(`${file}.crt`), key: this.#read(`${file}.key`) };
  }

  stop(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #read(file: string): string {
    return readFileSync(join(this.#folder, file), 'utf8');
  }

  #openssl(...args: readonly string[]): Promise<string> {
    return run('openssl', args, { cwd: this.#folder });
  }
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
