// Mocha's spec reporter. It also leaves the number of passed and failed tests, and the files that they are in, for the script that started mocha.
const { writeFileSync } = require('node:fs');
const { reporters, Runner } = require('mocha');

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const files = new Set();
    runner.on(Runner.constants.EVENT_TEST_END, ({ file }) => files.add(file));
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes: passed, failures: failed } = this.stats;
      writeFileSync(options.reporterOption.output, JSON.stringify({ passed, failed, files: [...files] }));
    });
  }
};
