// Loaded by each process that runs tests. Mocha gives such a process one second to exit, then sends SIGTERM; on a busy machine its coverage takes longer to write.
process.once('exit', () => process.on('SIGTERM', () => {}));
