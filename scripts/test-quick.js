// The tests of the core, for use while you write: they need no servers, and measure no coverage. `npm run test:quick -- --grep sentence` passes its arguments on to mocha.
import { listTests, runTests } from './mocha.js';
import { build, installPackages } from './setup.js';

installPackages();
build();
const core = ['.', 'report', 'run', 'lifecycle', 'registry', 'discovery', 'http', 'koa', 'package/imports'];
runTests(listTests(...core), { mochaArguments: process.argv.slice(2) });
