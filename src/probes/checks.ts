/**
 * The plain functions of the bundled probes. Importing this module adds no probe and loads only modules of Node.
 * The functions for databases are in `koa-probes/checks/knex` and `koa-probes/checks/migrations`, because their types need knex.
 */
export { checkDisk } from './disk/check-disk.js';
export type { DiskTarget } from './disk/inspection.js';
export { checkHttp } from './http/check-http.js';
export type { HttpTarget } from './http/target.js';
export { checkMemjs, type CheckMemjsOptions, type MemjsClient, type MemjsServer } from './memjs/check-memjs.js';
export { checkEventLoop, judgeDelays, type EventLoopLimits } from './process/check-event-loop.js';
export { EventLoopWindow, type EventLoopWindowOptions } from './process/event-loop-window.js';
export { checkMemory, judgeMemory, readMemory, type MemoryLimits, type MemoryUsage } from './process/check-memory.js';
export { readCgroupMemory, type CgroupMemory } from './process/cgroup-memory.js';
export { checkRedis, type CheckRedisOptions, type RedisClient } from './redis/check-redis.js';
export { checkTcp, type TcpTarget } from './tcp/check-tcp.js';
