/** The role of a server: `master`, `slave` or `sentinel`. */
export interface Role {
  readonly name: string;
  /** The master of a replica, if the server reports it: `127.0.0.1:6379`. */
  readonly master?: string | undefined;
}

/** Reads the answer to `ROLE`. */
export function readRole(answer: unknown): Role | undefined {
  if (!Array.isArray(answer)) return undefined;
  const [name, host, port] = answer as readonly unknown[];
  return String(name) === 'slave' ? { name: 'slave', master: `${String(host)}:${String(port)}` } : { name: String(name) };
}

/** Reads the answer to `HELLO`: a map, which clients return as a list of names and values, an object or a `Map`. */
export function readHello(answer: unknown): Role | undefined {
  const role = toMap(answer).get('role') as string | Buffer | undefined;
  if (role === undefined) return undefined;
  return { name: String(role) === 'replica' ? 'slave' : String(role) };
}

function toMap(answer: unknown): ReadonlyMap<unknown, unknown> {
  if (answer instanceof Map) return answer;
  if (!Array.isArray(answer)) return new Map(Object.entries(answer ?? {}));
  return new Map(answer.flatMap((name: unknown, index) => (index % 2 === 0 ? [[String(name), answer[index + 1] as unknown]] : [])));
}

/** A master is needed, but the server is not a master. */
export class NotMasterError extends Error {
  readonly isReplica: boolean;

  constructor(connection: string, { name, master }: Role) {
    const what = name === 'slave' ? `a read-only replica${master === undefined ? '' : ` of ${master}`}` : `a ${name}`;
    super(`${connection}: the server is ${what}, but a master is needed. Connect the client to the master, or set \`allowReadOnly: true\``);
    this.isReplica = name === 'slave';
  }
}
