import type { Ask, Row } from './client.js';
import { isServerAnswer } from './failure.js';

/** What the application uses a database for. */
export type DatabaseAccess = 'read' | 'write';

/** The server answers, and cannot do what the application needs. Its connections are given up, so that the pool finds a server that can. */
export class UnfitServer extends Error {}

/** Whether the server can be asked for `access` in this dialect. Every database can be read. */
export function canCheckAccess(dialect: string, access: DatabaseAccess | undefined): boolean {
  return access !== 'write' || CHECKS[dialect] !== undefined;
}

/**
 * Asks the server whether it takes the statements of the application. Resolves to whether anything was asked.
 *
 * @throws UnfitServer if the server is read-only and `access` is `write`, or if it takes no statements at all.
 */
export async function checkAccess(dialect: string, access: DatabaseAccess | undefined, ask: Ask): Promise<boolean> {
  const askBriefly: Ask = (statement) => ask(statement).catch((error: unknown) => rejectWithoutSql(error, statement.sql));
  return (await CHECKS[dialect]?.(access, askBriefly)) ?? false;
}

const CHECKS: Readonly<Record<string, (access: DatabaseAccess | undefined, ask: Ask) => Promise<boolean>>> = {
  async postgresql(access, ask) {
    if (access !== 'write') return false;
    // Also on for a standby, whatever its settings are.
    const [row] = await ask({ sql: 'SHOW transaction_read_only', bindings: [] });
    if (row?.['transaction_read_only'] === 'on') {
      throw new UnfitServer('the server is read-only: transaction_read_only is on, as on a standby or with default_transaction_read_only');
    }
    return true;
  },

  async mysql(access, ask) {
    const variables = await readVariables(ask).catch((error: unknown) => {
      // Something that speaks MySQL and has no such statement. Whether it answers at all is asked next.
      if (access !== 'write' && isServerAnswer(error)) return undefined;
      throw error;
    });
    if (variables === undefined) return false;
    if (isOn(variables.get('wsrep_on'))) await checkQuorum(ask);
    if (access !== 'write') return true;
    const cause = READ_ONLY_VARIABLES.find((name) => isOn(variables.get(name)));
    if (cause !== undefined) throw new UnfitServer(`the server is read-only: ${cause} is ${String(variables.get(cause))}`);
    return true;
  },

  async sqlite3(access, ask) {
    if (access !== 'write') return false;
    const [row] = await ask({ sql: 'PRAGMA query_only', bindings: [] });
    if (Number(row?.['query_only']) === 1) throw new UnfitServer('the database is read-only: query_only is on');
    return false;
  },
};

/** The last two are names of the same variable, in MySQL 8 and MariaDB 11 and before. They make every new transaction read-only. */
const READ_ONLY_VARIABLES = ['super_read_only', 'innodb_read_only', 'read_only', 'transaction_read_only', 'tx_read_only'];

/** Not `SELECT @@…`: a server fails for a variable that it does not have, and ProxySQL stops multiplexing. */
async function readVariables(ask: Ask): Promise<ReadonlyMap<unknown, unknown>> {
  const names = [...READ_ONLY_VARIABLES, 'wsrep_on'].map((name) => `'${name}'`).join(', ');
  return readPairs(await ask({ sql: `SHOW VARIABLES WHERE Variable_name IN (${names})`, bindings: [] }));
}

/** A node of a Galera cluster that is cut off from the majority answers `SELECT 1` and refuses everything else. Without a cluster `wsrep_ready` is OFF too. */
async function checkQuorum(ask: Ask): Promise<void> {
  const status = readPairs(await ask({ sql: "SHOW STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_cluster_status')", bindings: [] }));
  if (!status.has('wsrep_ready') || isOn(status.get('wsrep_ready'))) return;
  throw new UnfitServer(
    `the node takes no statements: wsrep_ready is ${String(status.get('wsrep_ready'))}, wsrep_cluster_status is ${String(status.get('wsrep_cluster_status'))}`,
  );
}

function readPairs(rows: readonly Row[]): ReadonlyMap<unknown, unknown> {
  return new Map(rows.map(({ Variable_name: name, Value: value }) => [name, value]));
}

/** MariaDB 12 knows `NO_LOCK` and the like beside ON and OFF. */
function isOn(value: unknown): boolean {
  return value !== undefined && value !== 'OFF' && value !== '0';
}

/** Knex puts the statement before what the driver says, and nobody knows this one. */
function rejectWithoutSql(error: unknown, sql: string): never {
  const prefix = `${sql} - `;
  if (error instanceof Error && error.message.startsWith(prefix)) error.message = error.message.slice(prefix.length);
  throw error;
}
