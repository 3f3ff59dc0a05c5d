import type { Ask, Row } from './client.js';
import { isServerAnswer } from './failure.js';

/** The access that the application needs to a database. */
export type DatabaseAccess = 'read' | 'write';

/** The server answers, but cannot do what the application needs. Its connections are closed, so that the pool can find another server. */
export class UnfitServer extends Error {}

/** Returns whether `access` can be checked in this dialect. `read` needs no check. */
export function canCheckAccess(dialect: string, access: DatabaseAccess | undefined): boolean {
  return access !== 'write' || CHECKS[dialect] !== undefined;
}

/**
 * Asks the server whether it accepts the statements of the application. Resolves to whether a statement was sent.
 *
 * @throws UnfitServer if the server is read-only and `access` is `write`, or if it accepts no statements at all
 */
export async function checkAccess(dialect: string, access: DatabaseAccess | undefined, ask: Ask): Promise<boolean> {
  const askBriefly: Ask = (statement) => ask(statement).catch((error: unknown) => rejectWithoutSql(error, statement.sql));
  return (await CHECKS[dialect]?.(access, askBriefly)) ?? false;
}

const CHECKS: Readonly<Record<string, (access: DatabaseAccess | undefined, ask: Ask) => Promise<boolean>>> = {
  async postgresql(access, ask) {
    if (access !== 'write') return false;
    // It is on for a standby too, no matter how the standby is configured.
    const [row] = await ask({ sql: 'SHOW transaction_read_only', bindings: [] });
    if (row?.['transaction_read_only'] === 'on') {
      throw new UnfitServer(
        'the server is read-only: transaction_read_only is on. It is a standby, or default_transaction_read_only is on',
      );
    }
    return true;
  },

  async mysql(access, ask) {
    const variables = await readVariables(ask).catch((error: unknown) => {
      // A server that speaks MySQL, but does not know this statement. The next statement shows whether it answers at all.
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

/** Each of these makes the server or its transactions read-only. The last two are the same variable: the first name is that of MySQL 8 and MariaDB 11, the second one that of earlier versions. */
const READ_ONLY_VARIABLES = ['super_read_only', 'innodb_read_only', 'read_only', 'transaction_read_only', 'tx_read_only'];

/** `SELECT @@…` is not used, because it fails for a variable that the server does not have, and because it makes ProxySQL stop multiplexing. */
async function readVariables(ask: Ask): Promise<ReadonlyMap<unknown, unknown>> {
  const names = [...READ_ONLY_VARIABLES, 'wsrep_on'].map((name) => `'${name}'`).join(', ');
  return readPairs(await ask({ sql: `SHOW VARIABLES WHERE Variable_name IN (${names})`, bindings: [] }));
}

/** A Galera node without quorum answers `SELECT 1` but rejects every other statement. Call this only if `wsrep_on` is on, because `wsrep_ready` is OFF without a cluster too. */
async function checkQuorum(ask: Ask): Promise<void> {
  const status = readPairs(await ask({ sql: "SHOW STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_cluster_status')", bindings: [] }));
  if (!status.has('wsrep_ready') || isOn(status.get('wsrep_ready'))) return;
  throw new UnfitServer(
    `the node accepts no statements: wsrep_ready is ${String(status.get('wsrep_ready'))}, wsrep_cluster_status is ${String(status.get('wsrep_cluster_status'))}`,
  );
}

function readPairs(rows: readonly Row[]): ReadonlyMap<unknown, unknown> {
  return new Map(rows.map(({ Variable_name: name, Value: value }) => [name, value]));
}

/** Besides ON and OFF, MariaDB 12 has values like `NO_LOCK`. */
function isOn(value: unknown): boolean {
  return value !== undefined && value !== 'OFF' && value !== '0';
}

/** Knex puts the statement in front of the driver's message. Remove it, because the user does not know this statement. */
function rejectWithoutSql(error: unknown, sql: string): never {
  const prefix = `${sql} - `;
  if (error instanceof Error && error.message.startsWith(prefix)) error.message = error.message.slice(prefix.length);
  throw error;
}
