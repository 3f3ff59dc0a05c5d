/** The one place that counts how often a check is run: by all libraries alike. */
export const counter = { executions: 0 };

export async function pass() {
  counter.executions += 1;
}

/** What keeps a hung check alive in an application: its socket or its timer. Without it the collector would take the check away. */
const unanswered = [];

export function hang() {
  counter.executions += 1;
  return new Promise((resolve) => unanswered.push(resolve));
}

export function letGo() {
  for (const resolve of unanswered.splice(0)) resolve();
}
