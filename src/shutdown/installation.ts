/** All shutdowns of the process, including those of another installed copy of the package. Together they decide when the process ends. */
const INSTALLED = Symbol.for('koa-probes.shutdowns');

interface Peer {
  readonly probes: object;
  /** Whether the shutdown has begun. Others wait only for a shutdown that has begun, because another one may never begin. */
  isUnderWay: boolean;
  /** Whether the shutdown still needs the probes. */
  needsProbes: boolean;
}

/** One shutdown in the list of all shutdowns of the process. */
export class Installation implements Peer {
  isUnderWay = false;
  needsProbes = true;

  constructor(readonly probes: object) {
    installed().add(this);
  }

  /** Gives up the probes. Returns whether no other shutdown in progress needs the same probes. */
  releaseProbes(): boolean {
    this.needsProbes = false;
    return ![...installed()].some(({ isUnderWay, probes, needsProbes }) => isUnderWay && needsProbes && probes === this.probes);
  }

  /** Removes this shutdown from the list. Returns whether it was the last one in progress. */
  end(): boolean {
    installed().delete(this);
    return ![...installed()].some(({ isUnderWay }) => isUnderWay);
  }
}

function installed(): Set<Peer> {
  const shared = globalThis as { [INSTALLED]?: Set<Peer> };
  return (shared[INSTALLED] ??= new Set());
}
