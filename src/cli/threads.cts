/** Calls that wait for one of Node's threads, by the names that Node gives them. */
const THREADED = new Set(['FSReqCallback', 'FSReqPromise', 'GetAddrInfoReqWrap', 'GetNameInfoReqWrap']);

/** Whether a lookup or a call to the file system is under way. Node ends only when its threads do, and one that hangs in such a call cannot be ended. */
function hasBusyThreads(): boolean {
  return process.getActiveResourcesInfo().some((name) => THREADED.has(name));
}

export = { hasBusyThreads };
