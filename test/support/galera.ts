import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import knex, { type Knex } from 'knex';
import { mariadbUrl, startMariadb } from './mariadb.js';
import { freePort, start, until, type Child } from './processes.js';
import type { Service } from './services.js';

const libraries = ['/usr/lib/galera/libgalera_smm.so', '/usr/lib64/galera/libgalera_smm.so'];

/** A Galera cluster of one MariaDB and an arbitrator (garbd): without the arbitrator the node has one vote of two, and no quorum. */
export class GaleraCluster {
  readonly #admin: Knex;

  private constructor(
    readonly node: Service,
    private arbitrator: Child,
    private readonly address: string,
    private readonly folder: string,
  ) {
    this.#admin = knex({ client: 'mysql2', connection: mariadbUrl(node.port), pool: { min: 0, max: 1 }, log: { warn() {} } });
  }

  static async start(): Promise<GaleraCluster> {
    const [listen, transfer] = [await freePort(), await freePort()];
    const address = `127.0.0.1:${String(listen)}`;
    const provider = [
      `gmcast.listen_addr=tcp://${address}`,
      `ist.recv_addr=127.0.0.1:${String(transfer)}`,
      'evs.keepalive_period=PT0.2S',
      'evs.suspect_timeout=PT0.6S',
      'evs.inactive_timeout=PT1S',
      'evs.inactive_check_period=PT0.2S',
      'gcache.size=1M',
    ].join(';');
    // The arbitrator writes the state of the cluster into its folder.
    const folder = mkdtempSync(join(tmpdir(), 'koa-probes-garbd-'));
    const node = await startMariadb(
      '--wsrep-on=ON',
      `--wsrep-provider=${libraries.find((path) => existsSync(path)) ?? 'libgalera_smm.so'}`,
      '--wsrep-cluster-address=gcomm://',
      '--wsrep-cluster-name=koa-probes',
      `--wsrep-provider-options=${provider}`,
      '--wsrep-node-address=127.0.0.1',
      '--binlog-format=ROW',
      '--innodb-autoinc-lock-mode=2',
    );
    const cluster = new GaleraCluster(node, startArbitrator(address, folder), address, folder);
    await cluster.#hasMembers(2);
    return cluster;
  }

  /** The arbitrator vanishes, and the node is not alone on purpose: it takes no statements any more. */
  async loseQuorum(): Promise<void> {
    await this.arbitrator.stop('SIGKILL');
    await until(async () => (await this.#status('wsrep_ready')) === 'OFF');
  }

  /** As an administrator does it: the node is declared to be the cluster, and the arbitrator joins it again. */
  async regainQuorum(): Promise<void> {
    await this.#admin.raw("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=1'");
    await until(async () => (await this.#status('wsrep_ready')) === 'ON');
    this.arbitrator = startArbitrator(this.address, this.folder);
    await this.#hasMembers(2);
  }

  async stop(): Promise<void> {
    await this.#admin.destroy();
    await this.arbitrator.stop('SIGKILL');
    await this.node.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #hasMembers(count: number) {
    return until(async () => (await this.#status('wsrep_cluster_size')) === String(count));
  }

  async #status(name: string): Promise<string | undefined> {
    const [rows] = (await this.#admin.raw(`SHOW STATUS LIKE '${name}'`)) as [{ Value: string }[]];
    return rows[0]?.Value;
  }
}

function startArbitrator(address: string, cwd: string): Child {
  return start('garbd', ['--address', `gcomm://${address}`, '--group', 'koa-probes', '--options', 'gmcast.listen_addr=tcp://127.0.0.1:0'], {
    cwd,
  });
}
