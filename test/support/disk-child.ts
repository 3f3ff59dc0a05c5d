// Checks a folder as another user than root, who may do everything.
import { checkDisk } from 'koa-probes/disk';

const [path = '', uid = '65534'] = process.argv.slice(2);
if (process.getuid?.() === 0) process.setuid?.(Number(uid));
const context = { signal: new AbortController().signal };
console.log(await checkDisk({ path, minFreeRatio: 0 }, context).then(JSON.stringify, String));
