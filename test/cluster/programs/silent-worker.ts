// A worker that never reports.
console.log(`worker ${String(process.pid)} has begun`);
setInterval(() => {}, 1_000);
