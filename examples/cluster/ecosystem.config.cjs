// pm2-runtime ecosystem.config.cjs
module.exports = {
  apps: [
    {
      name: 'shop',
      script: 'server.js',
      instances: 2,
      exec_mode: 'cluster',
      instance_var: 'NODE_APP_INSTANCE', // the number of the process, from 0; a process that is replaced keeps it
      restart_delay: 1_000,
      kill_timeout: 28_000, // longer than the shutdown, shorter than terminationGracePeriodSeconds. pm2's default is 1.6 s, then SIGKILL.
    },
  ],
};
