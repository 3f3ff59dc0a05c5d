import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of migrations that do nothing. */
export class MigrationFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'koa-probes-migrations-'));

  constructor(...names: readonly string[]) {
    for (const name of names) this.add(name);
  }

  add(name: string): void {
    writeFileSync(join(this.path, name), 'exports.up = async () => {};\nexports.down = async () => {};\n');
  }

  remove(name: string): void {
    rmSync(join(this.path, name));
  }

  delete(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
