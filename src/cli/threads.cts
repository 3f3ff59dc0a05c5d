/** Calls that use one of Node's threads, by the names of their classes in Node. */
const THREADED = new Set(['FSReqCallback', 'FSReqPromise', 'GetAddrInfoReqWrap', 'GetNameInfoReqWrap']);

const LOOK_EVERY_MS = 1;

/** How long the end of the process waits for calls in flight: until the timeout, but within these limits. */
const SHORTEST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 500;

interface NodeProcess {
  /** Returns each call as an object. `process.getActiveResourcesInfo()` cannot tell a hanging call from the next one. */
  _getActiveRequests(): readonly object[];
  /** The last step of `process.exit()`. */
  reallyExit(code: number): never;
}

const node = process as unknown as NodeProcess;
const reallyExit = node.reallyExit.bind(process);

/**
 * Ends the process with `code`, no matter what its exit listeners do. Node cannot exit before its threads have finished,
 * so it waits for lookups and file calls in flight. If one of them hangs, only SIGKILL ends the process.
 */
function endProcess(code: number, timeoutMs: number): void {
  const remainingMs = timeoutMs - process.uptime() * 1_000;
  waitForCalls(Math.min(Math.max(remainingMs, SHORTEST_WAIT_MS), LONGEST_WAIT_MS), (areDone) => {
    const end = areDone ? () => reallyExit(code) : () => process.kill(process.pid, 'SIGKILL');
    onExit(end);
    try {
      process.exit(code);
    } finally {
      end();
    }
  });
}

/** Replaces the last step of `process.exit()`. */
function onExit(end: () => unknown): void {
  Object.assign(process, { reallyExit: end });
}

/** Calls back with `true` as soon as all lookups and file calls that are in flight now have finished, or with `false` at the timeout. */
function waitForCalls(withinMs: number, callback: (areDone: boolean) => void): void {
  const endsAt = performance.now() + withinMs;
  let waiting = listCalls();
  const look = () => {
    const active = new Set(listCalls());
    waiting = waiting.filter((call) => active.has(call));
    if (waiting.length === 0) callback(true);
    else if (performance.now() >= endsAt) callback(false);
    else setTimeout(look, LOOK_EVERY_MS);
  };
  look();
}

function listCalls(): object[] {
  return node._getActiveRequests().filter((call) => THREADED.has(call.constructor.name));
}

export = { endProcess, onExit, waitForCalls };
