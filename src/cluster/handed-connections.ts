import cluster, { type Worker } from 'node:cluster';

/** How often it is looked whether all that a worker has said before its end was read. */
const LOOK_EVERY_MS = 10;

/** The messages of node:cluster itself, as they are in Node 20 to 24. */
interface ClusterMessage {
  readonly cmd?: string;
  readonly act?: string;
  /** Number of a message, and `ack` that of the message which is answered. */
  readonly seq?: number;
  readonly ack?: number;
}

interface Handle {
  close?(): void;
}

type Send = (message: ClusterMessage, handle?: Handle, ...rest: unknown[]) => boolean;

/**
 * Gives the connection to another worker that round robin has handed to this one, and that this one has not taken before its end, as if it had refused it.
 * A worker that is blocked has one. Node itself forgets it and leaves it open: its client would wait for ever.
 */
export function passOnConnections(worker: Worker, hasOthers: () => boolean): void {
  const handed = new Map<number, Handle>();
  const send = worker.process.send.bind(worker.process) as Send;
  const watchedSend: Send = (message, handle, ...rest) => {
    if (message.cmd === 'NODE_CLUSTER' && message.act === 'newconn' && message.seq !== undefined && handle !== undefined) {
      handed.set(message.seq, handle);
    }
    return send(message, handle, ...rest);
  };
  worker.process.send = watchedSend as typeof worker.process.send;
  worker.process.on('internalMessage', ({ ack }: ClusterMessage) => {
    if (ack !== undefined) handed.delete(ack);
  });
  worker.once('exit', () => {
    whenAllIsRead(worker, () => {
      for (const [ack, handle] of handed) {
        if (hasOthers()) worker.process.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack, accepted: false });
        else handle.close?.();
      }
    });
  });
}

/** A connection that it has taken is not to be given to another one. */
function whenAllIsRead(worker: Worker, act: () => void): void {
  if (worker.isConnected()) {
    setTimeout(whenAllIsRead, LOOK_EVERY_MS, worker, act);
    return;
  }
  // Node does not say so while a connection is on its way, and would hand the next one to the dead worker.
  if (cluster.workers?.[worker.id] !== undefined) worker.process.emit('disconnect');
  act();
}
