// The package is there, and gracefulShutdown() is not called yet.
const listeners = (): string => JSON.stringify(process.eventNames().map((name) => [String(name), process.listenerCount(name)]));

const before = listeners();
await import('koa-probes');
console.log(listeners() === before ? 'nothing is added' : `added: ${listeners()}`);
setInterval(() => {}, 1_000);
