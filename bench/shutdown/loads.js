/** How long the balancer goes on to send to a pod that has got its signal. */
export const LATE_MS = 1_000;

/**
 * What a user does, and between which bounds, in milliseconds: the time until the next request, the work that a request asks for,
 * and the pauses in which it is sent. `warmUpMs`: when the signal comes.
 *
 * @typedef {[number, number]} Between
 * @typedef {{ users: number, warmUpMs: number, thinkMs: Between, workMs: () => Between, piecesMs?: Between, isPooled: boolean }} Load
 * @type {Record<string, Load>}
 */
export const loads = {
  /** All users share a pool of connections that stay open, and one request in ten goes over a new one. */
  'layer 7': { users: 60, warmUpMs: 1_000, thinkMs: [20, 100], workMs: mostlyQuick, isPooled: true },

  /** Each user has a connection of its own, which stays where it is. */
  'layer 4': { users: 120, warmUpMs: 1_000, thinkMs: [20, 300], workMs: mostlyQuick, isPooled: false },

  /** As many connections, head and body of each request in pieces, and time to think in which a connection is idle. */
  '800 slow clients': { users: 800, warmUpMs: 2_000, thinkMs: [200, 2_000], workMs: slow, piecesMs: [10, 100], isPooled: false },

  /** That of the soak. */
  short: { users: 20, warmUpMs: 200, thinkMs: [5, 50], workMs: () => [0, 50], isPooled: true },
};

function mostlyQuick() {
  return Math.random() < 0.9 ? [0, 30] : [200, 400];
}

function slow() {
  return [100, 500];
}
