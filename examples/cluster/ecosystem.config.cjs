// pm2-runtime ecosystem.config.cjs. On a read-only root file system, set PM2_HOME=/run/app/.pm2: `*` does not match a name with a dot before it.
module.exports = {
  apps: [
    {
      name: 'shop',
      script: 'server.js',
      instances: 2,
      exec_mode: 'cluster',
      instance_var: 'NODE_APP_INSTANCE', // the number of the process, from 0; a process that is replaced keeps it
      out_file: '/dev/null', // pm2-runtime writes to its own streams as well
      error_file: '/dev/null',
      restart_delay: 1_000,
      kill_timeout: 28_000, // longer than the shutdown, shorter than terminationGracePeriodSeconds. pm2's default is 1.6 s, then SIGKILL.
    },
  ],
};
